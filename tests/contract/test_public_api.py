"""What users may import: a new name is a promise, a missing one a broken promise."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

PUBLIC = {
    "offload": """
        Abort ArgumentError CancelRequested ConfigurationError JobCancelled JobContext JobDead
        JobError JobEvent JobFailed JobHandle JobNotFound JobTimeout LeaseLost LimitExceeded Limits
        NoCurrentJob OffloadError PayloadError PayloadTooLarge Queue Retry Snooze StoreCorrupted
        StoreError StoreFull StoreRefused StoreUnavailable Task TaskDefinitionError
        TaskNotRegistered current_job
    """,
    "offload.fastapi": """
        CancelResponse DeadLetterResponse JobErrorResponse JobResponse JobResultResponse
        QueueRouter RetryResponse StatsResponse job_events lifespan
    """,
    "offload.testing": """
        ManualClock
    """,
}

METHODS = {
    "Queue": """
        acancel_job acancel_running_job aclose adead_letters aenqueue aenqueue_many
        aget_job ajob_errors alist_jobs aopen apurge_completed apurge_dead aretry_dead
        arun_worker astats awatch aworkers cancel_job cancel_running_job close dead_letters
        enqueue enqueue_many get_job job_errors list_jobs list_workers purge_completed
        purge_dead retry_dead run_worker stats task
    """,
    "Task": """
        aapply_async adelay amap apply_async delay map new_job new_jobs
    """,
    "JobHandle": """
        acancel arefresh aresult awatch cancel created_at error finished_at id metadata
        progress queue_name refresh result started_at status task_name version
    """,
    "JobContext": """
        ask_to_stop begin check_cancelled elapsed fencing_token id idempotency_key log metadata
        publish queue_name remaining retry_count tags task_name update_progress wait_stopped
    """,
}

# A twin that has another name than its brother with an `a` before it.
OTHER_TWINS = {"list_workers": "aworkers"}
# These touch no store, or have no meaning for the other side.
SINGLE = {"task", "awatch", "aopen"}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_names_are_these_and_no_others(module: str) -> None:
    found = importlib.import_module(module)
    assert sorted(found.__all__) == sorted(PUBLIC[module].split())
    assert list(found.__all__) == sorted(found.__all__)
    assert all(hasattr(found, name) for name in found.__all__)


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_are_these_and_no_others(name: str) -> None:
    found = getattr(importlib.import_module("offload"), name)
    assert sorted(method for method in vars(found) if method[0] != "_") == METHODS[name].split()


def test_every_method_that_touches_the_store_has_its_twin() -> None:
    names = set(METHODS["Queue"].split()) - SINGLE
    plain = {name for name in names if f"a{name}" in names or name in OTHER_TWINS}
    assert names - plain == {OTHER_TWINS.get(name, f"a{name}") for name in plain}


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
