"""What users may import: a new name is a promise, a missing one a broken promise."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

PUBLIC = {
    "offload": """
        Abort ArgumentError CancelRequested ConfigurationError DependencyError DuplicateJob
        IsolatedError JobCancelled JobContext JobDead JobError JobEvent JobFailed JobGroup
        JobHandle JobNotEnded JobNotFound JobPart JobPurged JobTimeout LeaseLost LimitExceeded
        Limits Lock LockLost NoCurrentJob OffloadError PayloadError PayloadTooLarge ProcessDied
        Queue Retry ScheduleInfo ScheduleNotFound Snooze StoreCorrupted StoreError StoreFull
        StoreRefused StoreUnavailable Task TaskDefinitionError TaskNotRegistered Unique chain
        chord current_job group isolated
    """,
    "offload.fastapi": """
        BackgroundTasks CancelResponse DeadLetterResponse DuplicateTask JobErrorResponse
        JobResponse JobResultResponse LocalScheduleResponse QueueRouter RequestTask RequestTasks
        RetryPolicy RetryResponse StatsResponse Task TaskDetailResponse TaskErrorHandler
        TaskLimitReached TaskManager TaskRefused TaskResponse TaskStatsResponse Tasks TasksClosed
        TasksRouter add_tasks event_stream get_tasks job_events lifespan
    """,
    "offload.testing": """
        Harness ManualClock
    """,
}

METHODS = {
    "Queue": """
        aadd_periodic acancel_job acancel_running_job aclose add_periodic adead_letters
        adelete_periodic aedit_periodic aenqueue aenqueue_many aget_job aget_jobs
        ajob_errors ajob_logs ajob_metrics ajob_parts alist_jobs alist_periodic
        alist_workers alock ametrics aopen apause apause_periodic apaused_queues apurge
        apurge_completed apurge_dead aqueues areplay areplay_history aresume
        aresume_periodic aretry_all_dead aretry_dead aretry_dead_many arun_worker astats
        atrigger_periodic awatch cancel_job cancel_running_job close dead_letters
        delete_periodic edit_periodic enqueue enqueue_many get_job get_jobs job_errors
        job_logs job_metrics job_parts list_jobs list_periodic list_workers lock metrics
        middleware on_cancel on_failure on_retry on_start on_success outbox pause
        pause_periodic paused_queues periodic purge purge_completed purge_dead queues replay
        replay_history resume resume_periodic retry_all_dead retry_dead retry_dead_many
        run_worker stats task trigger_periodic
    """,
    "Task": """
        aapply_async adelay amap apply_async batch_draft delay draft map new_job new_jobs s si
    """,
    "JobHandle": """
        acancel aerrors afamily alogs ametrics aparts arefresh arepeats areplay aresult astream
        awatch blocked_by cancel created_at data error errors family finished_at id job logs
        message metadata metrics origin parts progress queue_name refresh repeats replay result
        run_at schedule started_at status stream tags task_name tick updated version
    """,
    "JobGroup": """
        acancel arefresh aresult cancel count index refresh result status
    """,
    "JobContext": """
        ask_to_stop begin check_cancelled elapsed fencing_token id idempotency_key log metadata
        publish queue_name remaining retry_count schedule tags task_name tick transaction
        update_progress wait_stopped
    """,
}

# These touch no store, or have no meaning for the other side.
SINGLE = {"task", "periodic", "awatch", "aopen", "middleware", "outbox"}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_names_are_these_and_no_others(module: str) -> None:
    found = importlib.import_module(module)
    assert sorted(found.__all__) == sorted(PUBLIC[module].split())
    assert list(found.__all__) == sorted(found.__all__)
    assert all(hasattr(found, name) for name in found.__all__)


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_are_these_and_no_others(name: str) -> None:
    found = getattr(importlib.import_module("offload"), name)
    assert [method for method in dir(found) if method[0] != "_"] == METHODS[name].split()


def test_every_method_that_touches_the_store_has_its_twin() -> None:
    names = {name for name in METHODS["Queue"].split() if not name.startswith("on_")} - SINGLE
    plain = {name for name in names if f"a{name}" in names}
    assert names - plain == {f"a{name}" for name in plain}


@pytest.mark.parametrize("name", ["Queue", "Task", "JobHandle", "JobGroup"])
def test_twins_take_the_same_arguments(name: str) -> None:
    found = getattr(importlib.import_module("offload"), name)
    for twin in METHODS[name].split():
        if f"a{twin}" in METHODS[name].split() and twin != "close":
            plain, real = getattr(found, twin), getattr(found, f"a{twin}")
            assert not inspect.iscoroutinefunction(plain)
            parameters = [list(inspect.signature(f).parameters) for f in (plain, real)]
            assert parameters[0] == parameters[1] or twin == "run_worker"


def documented() -> Iterator[Any]:
    """Yield a parameter for every public class and function, and for their public methods."""
    for module, names in PUBLIC.items():
        for name in names.split():
            found = getattr(importlib.import_module(module), name, None)
            if not inspect.isclass(found) and not inspect.isfunction(found):
                continue
            yield pytest.param(found, id=f"{module}.{name}")
            for method, value in vars(found).items():
                if method[0] != "_" and (inspect.isfunction(value) or isinstance(value, property)):
                    yield pytest.param(value, id=f"{module}.{name}.{method}")


@pytest.mark.parametrize("found", list(documented()))
def test_it_has_a_docstring(found: Any) -> None:
    text = found.__doc__ or ""
    assert text.strip(), "no docstring"
    # Data classes and Pydantic write one that says nothing.
    assert not text.startswith(f"{getattr(found, '__name__', '')}(")


def test_errors_are_one_tree() -> None:
    offload = importlib.import_module("offload")
    errors = [
        getattr(offload, name)
        for name in offload.__all__
        if inspect.isclass(getattr(offload, name))
        and issubclass(getattr(offload, name), BaseException)
    ]
    assert len(errors) > 20
    assert all(issubclass(error, offload.OffloadError) for error in errors)
