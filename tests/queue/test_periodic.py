"""Periodic tasks as programs define, see and change them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offload import (
    ArgumentError,
    ConfigurationError,
    Queue,
    ScheduleNotFound,
    TaskDefinitionError,
    TaskNotRegistered,
)
from offload.queue.schedule_info import ScheduleInfo


def report(region: str = "EU", *, copies: int = 1) -> int:
    """Be a task's function."""
    return copies


async def areport(region: str) -> str:
    return region


def one(queue: Queue, name: str) -> ScheduleInfo:
    [found] = [info for info in queue.list_periodic() if info.name == name]
    return found


# --- in code ----------------------------------------------------------------------------


def test_a_function_becomes_a_task_with_a_schedule(queue: Queue) -> None:
    task = queue.periodic(cron="0 9 * * *", tz="Europe/Berlin", queue="slow", timeout=5)(report)
    assert task("EU", copies=3) == 3
    assert queue.tasks.find(task.name) is task
    assert task.options == {"queue": "slow", "timeout": 5}
    assert queue.periodic(every=60, args=["EU"])(areport).executor == "async"


def test_cron_needs_no_name(queue: Queue) -> None:
    task = queue.periodic("0 9 * * *")(report)
    assert queue.tasks.periodic[task.name].trigger.text == "cron:0 9 * * *"


def test_a_decorator_without_brackets_is_told(queue: Queue) -> None:
    periodic: Callable[..., object] = queue.periodic
    with pytest.raises(ConfigurationError, match="brackets"):
        periodic(report)


def test_both_orders_of_decorators_work(queue: Queue) -> None:
    inner = queue.task(max_retries=7)(report)
    assert queue.periodic(every=60)(inner) is inner
    other = queue.periodic(every=60, args=("EU",))(areport)
    assert queue.task(other) is other
    assert queue.task()(other) is other
    assert set(queue.tasks.periodic) == {inner.name, other.name}


def test_a_task_can_have_several_schedules(queue: Queue) -> None:
    task = queue.periodic(every=60)(report)
    queue.periodic(every=3600, name="hourly", kwargs={"copies": 2})(task)
    assert set(queue.tasks.periodic) == {task.name, "hourly"}
    with pytest.raises(TaskDefinitionError, match="two schedules are named"):
        queue.periodic(every=7)(task)
    with pytest.raises(TaskDefinitionError, match="two schedules are named 'hourly'"):
        queue.periodic(every=7, name="hourly", args=("EU",))(areport)


def test_a_module_that_is_imported_again_defines_the_same(queue: Queue) -> None:
    queue.periodic(every=60)(report)
    again = queue.periodic(every=30)(report)
    assert queue.tasks.periodic[again.name].trigger.text == "every:30"


def test_options_have_one_place(queue: Queue) -> None:
    with pytest.raises(TaskDefinitionError, match=r"give timeout to its @queue\.task"):
        queue.periodic(every=60, timeout=5)(queue.task(report))
    with pytest.raises(TaskDefinitionError, match=r"put @queue\.periodic above"):
        queue.task(timeout=5)(queue.periodic(every=60, args=["EU"])(areport))


def test_a_task_of_another_queue_is_refused(queue: Queue) -> None:
    stranger = Queue("memory://").task(report)
    for decorator in (queue.periodic(every=60), queue.task()):
        with pytest.raises(TaskDefinitionError, match="another queue"):
            decorator(stranger)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "give one of cron="),
    ({"cron": "* * * * *", "every": 5}, "give one of cron="),
    ({"cron": "* * * *"}, "has 4 fields, must have 5"),
    ({"cron": "* * * * * *"}, "seconds=True"),
    ({"cron": "61 * * * *"}, "minute"),
    ({"cron": 5}, "must be a text"),
    ({"cron": "0 9 * * *", "tz": "Berlin"}, "no such time zone"),
    ({"cron": "0 0 31 2 *"}, "cron"),
    ({"every": 0.5}, "from 1 second"),
    ({"every": "5m"}, "a number of seconds or a timedelta"),
    ({"every": True}, "a number of seconds or a timedelta"),
    ({"every": timedelta(0)}, "from 1 second"),
    ({"every": 5, "tz": "UTC"}, "are for cron="),
    ({"every": 5, "seconds": True}, "are for cron="),
    ({"every": 5, "overlap": "no"}, "use one of allow, skip"),
    ({"every": 5, "catch_up": "never"}, "use one of skip, one, all"),
    ({"every": 5, "jitter": -1}, "jitter=-1"),
    ({"every": 5, "jitter": "1"}, "a number of seconds"),
    ({"every": 5, "name": ""}, "must be a name"),
    ({"every": 5, "retries": 3}, "unknown option 'retries'"),
    ({"every": 5, "timeout": -3}, "timeout=-3"),
]


@pytest.mark.parametrize(("times", "message"), WRONG, ids=[str(times) for times, _ in WRONG])
def test_wrong_values_fail_where_they_are_written(
    queue: Queue, times: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        queue.periodic(**times)(report)
    assert not queue.tasks.periodic


@pytest.mark.parametrize(
    "call",
    [{"args": (1, 2, 3)}, {"kwargs": {"nope": 1}}, {"args": [5]}, {"kwargs": {"copies": []}}],
)
def test_arguments_that_do_not_fit_fail_where_they_are_written(
    queue: Queue, call: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentError):
        queue.periodic(every=60, **call)(report)
    with pytest.raises(ArgumentError):
        queue.add_periodic(queue.task(report), every=60, **call)


def test_an_argument_without_a_value_is_missed_at_once(queue: Queue) -> None:
    with pytest.raises(ArgumentError, match="give args="):
        queue.periodic(every=60)(areport)


# --- at run time ------------------------------------------------------------------------


def test_a_schedule_can_be_added_and_seen(queue: Queue) -> None:
    task = queue.task(report)
    added = queue.add_periodic(
        task.name, cron="30 9 * * MON-FRI", tz="Europe/Berlin", name="eu", args=["EU"],
        jitter=5, catch_up="all", overlap="skip", queue="slow", tags=["a"],
    )  # fmt: skip
    assert queue.list_periodic() == [added]
    assert (added.name, added.task, added.tz) == ("eu", task.name, "Europe/Berlin")
    assert added.trigger == "cron:30 9 * * MON-FRI"
    assert "09:30" in added.description
    assert (added.overlap, added.catch_up, added.jitter) == ("skip", "all", 5.0)
    assert (added.paused, added.edited, added.is_stale) == (False, True, False)
    assert (added.last_run, added.last_job_id) == (None, None)
    assert added.next_run is not None
    assert (added.next_run.hour, added.next_run.minute) == (9, 30)
    assert added.next_run > datetime.now(UTC)


def test_one_that_is_added_again_is_changed_and_stays_paused(queue: Queue) -> None:
    queue.add_periodic(queue.task(report), every=60, name="s")
    queue.pause_periodic("s")
    again = queue.add_periodic(queue.task(report), every=90, name="s")
    assert (again.trigger, again.paused) == ("every:90", True)
    other = queue.task(areport)
    with pytest.raises(ConfigurationError, match="is one of the task"):
        queue.add_periodic(other, every=60, name="s", args=["EU"])


def test_a_pause_is_kept_and_its_time_is_not_caught_up(queue: Queue) -> None:
    queue.periodic(every=60, name="s")(report)
    paused = queue.pause_periodic("s")  # before any worker has stored it
    assert (paused.paused, paused.next_run, paused.edited) == (True, None, False)
    resumed = queue.resume_periodic("s")
    assert (resumed.paused, resumed.edited) == (False, False)
    assert resumed.next_run is not None
    assert datetime.now(UTC) < resumed.next_run < datetime.now(UTC) + timedelta(seconds=61)
    assert queue.resume_periodic("s") == resumed


def test_an_edit_changes_what_it_names(queue: Queue) -> None:
    queue.periodic(cron="0 9 * * *", tz="Europe/Berlin", name="s", jitter=3, args=["EU"])(report)
    later = queue.edit_periodic("s", cron="0 10 * * *")
    assert (later.trigger, later.tz, later.jitter) == ("cron:0 10 * * *", "Europe/Berlin", 3.0)
    assert later.edited
    assert later.next_run is not None
    assert later.next_run.hour == 10
    moved = queue.edit_periodic("s", tz="Asia/Tokyo", overlap="skip", catch_up="skip", jitter=0)
    assert (moved.trigger, moved.tz) == ("cron:0 10 * * *", "Asia/Tokyo")
    assert (moved.overlap, moved.catch_up, moved.jitter) == ("skip", "skip", 0.0)
    even = queue.edit_periodic("s", every=30, kwargs={"copies": 4}, options={"priority": 5})
    assert (even.trigger, even.tz) == ("every:30", "UTC")
    job = queue.trigger_periodic("s")
    assert job.job.payload == b'[["EU"],{"copies":4}]'
    assert job.job.priority == 5


EDITS: list[tuple[dict[str, Any], str]] = [
    ({"tz": "UTC"}, "are for cron="),
    ({"every": 0}, "from 1 second"),
    ({"cron": "* *"}, "has 2 fields"),
    ({"overlap": "x"}, "use one of allow, skip"),
    ({"interval": 5}, "unknown: interval"),
    ({"options": {"delay": 5}}, "unknown option 'delay'"),
    ({"options": {"timeout": float("inf")}}, "plain JSON"),
]


@pytest.mark.parametrize(("changes", "message"), EDITS, ids=[str(edit) for edit, _ in EDITS])
def test_a_wrong_edit_changes_nothing(queue: Queue, changes: dict[str, Any], message: str) -> None:
    before = queue.add_periodic(queue.task(report), every=60, name="s")
    with pytest.raises(ConfigurationError, match=message):
        queue.edit_periodic("s", **changes)
    assert one(queue, "s") == before


def test_a_triggered_job_shifts_nothing_and_works_while_paused(queue: Queue) -> None:
    before = queue.add_periodic(queue.task(report), every=3600, name="s", tags=["t"])
    job = queue.trigger_periodic("s")
    assert (job.schedule, job.tick, job.tags, job.status) == ("s", None, ("t",), "pending")
    queue.pause_periodic("s")
    assert queue.trigger_periodic("s").id != job.id
    queue.resume_periodic("s")
    assert one(queue, "s") == before
    assert len(queue.list_jobs(schedule="s")) == 2


CALLS: list[Callable[[Queue], object]] = [
    lambda queue: queue.pause_periodic("nobody"),
    lambda queue: queue.resume_periodic("nobody"),
    lambda queue: queue.trigger_periodic("nobody"),
    lambda queue: queue.edit_periodic("nobody", every=5),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_unknown_schedule_is_named(queue: Queue, call: Callable[[Queue], object]) -> None:
    with pytest.raises(ScheduleNotFound, match="'nobody'"):
        call(queue)
    assert queue.delete_periodic("nobody") is False


def test_an_unknown_task_is_refused(queue: Queue) -> None:
    with pytest.raises(TaskNotRegistered):
        queue.add_periodic("app.nobody", every=60)


def test_a_deleted_schedule_is_gone(queue: Queue) -> None:
    queue.add_periodic(queue.task(report), every=60, name="s")
    assert queue.delete_periodic("s") is True
    assert queue.list_periodic() == []
    assert queue.delete_periodic("s") is False


async def test_another_program_sees_what_it_does_not_fire(path: Any) -> None:
    mine, other = Queue(str(path)), Queue(str(path))
    await mine.aadd_periodic(mine.task(report), every=60, name="s")
    [seen] = await other.alist_periodic()
    assert seen.is_stale
    assert (await other.apause_periodic("s")).paused
    with pytest.raises(TaskNotRegistered):
        await other.atrigger_periodic("s")
    await mine.aclose()
    await other.aclose()
