"""Periodic request tasks: when they fire, what a trigger does, who of several fires them."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from offload import ConfigurationError, Queue
from offload.core.errors import ScheduleNotFound, TaskRefused
from offload.core.instants import instant
from offload.inproc.app import AppTasks
from offload.inproc.call import Call
from offload.inproc.leading import Leading
from offload.inproc.task import RequestTask
from offload.inproc.ticker import LocalSchedule, Overlapping, Ticker
from offload.testing import ManualClock
from tests.inproc.waiting import until

MINUTE = 60.0


class Clockwork:
    """The schedules of an application, whose clock and looks are the test's."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.tasks = AppTasks()
        self.tasks.ticker = Ticker(self.tasks, clock.now)
        self.ran: list[datetime] = []

    def job(self) -> Callable[..., Any]:
        async def job(scheduled_at: datetime) -> None:
            self.ran.append(scheduled_at)

        return job

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.tasks.ticker.look()
        await self.tasks.runner.idle(10)

    async def set_time(self, moment: datetime) -> None:
        await self.pass_time((instant("moment", moment) - self.clock.now()) / 1000)


@pytest.fixture
async def works(clock: ManualClock) -> Any:
    works = Clockwork(clock)
    yield works
    await works.tasks.stop()


def held(works: Clockwork, overlap: str) -> tuple[asyncio.Event, LocalSchedule]:
    """Schedule something that runs until the event, once a minute, and start it."""
    go = asyncio.Event()

    @works.tasks.every(seconds=60, overlap=overlap, name="held")
    async def hold(scheduled_at: datetime) -> None:
        works.ran.append(scheduled_at)
        await go.wait()

    works.tasks.ticker.start()
    works.clock.advance(MINUTE)
    works.tasks.ticker.look()
    return go, works.tasks.ticker.get("held")


async def test_b4_intervals_keep_their_grid_however_long_a_run_takes(works: Clockwork) -> None:
    works.tasks.every(seconds=60, name="job")(works.job())
    start = works.clock.now()
    works.tasks.ticker.start()
    for late in (0, 7, 1):
        await works.set_time(_moment(start + 60_000 * (len(works.ran) + 1) + late * 1000))
    assert [instant("tick", tick) - start for tick in works.ran] == [60_000, 120_000, 180_000]


async def test_b4_late_ticks_become_one_run_however_late(works: Clockwork) -> None:
    works.tasks.every(seconds=60, name="job")(works.job())
    start = works.clock.now()
    works.tasks.ticker.start()
    await works.pass_time(3600 * 5 + 30)
    assert [instant("tick", tick) - start for tick in works.ran] == [5 * 3_600_000]
    await works.pass_time(30)
    assert len(works.ran) == 2


async def test_b4_a_clock_that_is_set_back_fires_nothing_twice(works: Clockwork) -> None:
    works.tasks.every(seconds=60, name="job")(works.job())
    works.tasks.ticker.start()
    await works.pass_time(60)
    await works.pass_time(-50)
    await works.pass_time(50)
    assert len(works.ran) == 1


async def test_b4_functions_need_not_ask_for_their_tick(works: Clockwork) -> None:
    ran: list[int] = []
    works.tasks.every(seconds=60, name="job")(lambda: ran.append(1))
    works.tasks.ticker.start()
    await works.pass_time(60)
    assert ran == [1]


async def test_b4_overlap_skip(works: Clockwork) -> None:
    go, entry = held(works, "skip")
    works.clock.advance(MINUTE)
    works.tasks.ticker.look()
    assert (len(entry.runs), entry.skipped) == (1, 1)
    go.set()
    await works.tasks.runner.idle(10)
    await works.pass_time(60)
    assert len(works.ran) == 2


async def test_b4_overlap_queue_lets_one_more_follow(works: Clockwork) -> None:
    go, entry = held(works, "queue")
    for _ in range(3):
        works.clock.advance(MINUTE)
        works.tasks.ticker.look()
    assert len(entry.runs) == 1
    go.set()
    await works.tasks.runner.idle(10)
    assert len(works.ran) == 2
    assert works.ran[1] - works.ran[0] == timedelta(minutes=3)


async def test_b4_overlap_allow(works: Clockwork) -> None:
    go, entry = held(works, "allow")
    works.clock.advance(MINUTE)
    works.tasks.ticker.look()
    assert len(entry.runs) == 2
    go.set()


async def test_b4_ticks_fire_from_start_to_stop(works: Clockwork) -> None:
    ran = asyncio.Event()

    @works.tasks.every(seconds=1)
    def job() -> None:
        ran.set()

    def next_run() -> datetime | None:
        return works.tasks.schedules()[0].next_run

    assert next_run() is None
    works.tasks.ticker.start()
    assert next_run() is not None
    works.clock.advance(1)
    await asyncio.wait_for(ran.wait(), 30)
    await works.tasks.ticker.stop()
    assert next_run() is None


async def test_b4_a_tick_that_cannot_run_stops_no_other(
    works: Clockwork, caplog: pytest.LogCaptureFixture
) -> None:
    class Picky(AppTasks):
        def take(self, call: Call) -> RequestTask[Any]:
            if call.options.name == "picked":
                raise RuntimeError("not this one")
            return super().take(call)

    works.tasks = Picky()
    works.tasks.ticker = Ticker(works.tasks, works.clock.now)
    works.tasks.every(seconds=60, name="picked")(print)
    for name in ("job", "twin"):
        works.tasks.every(seconds=60, name=name, key="one at a time")(works.job())
    works.tasks.ticker.start()
    await works.pass_time(60)
    assert len(works.ran) == 1
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "schedule picked: this tick does not run"
    assert told[1].startswith("schedule twin: this tick does not run: 'one at a time'")


async def test_b4_a_function_without_a_signature_is_called_without_a_tick(
    works: Clockwork,
) -> None:
    works.tasks.every(seconds=60, name="made of C")(max)
    works.tasks.ticker.start()
    await works.pass_time(60)
    [task] = works.tasks.all()
    assert isinstance(task.error, TypeError)  # it wants arguments, but it was called


async def test_b5_a_trigger_runs_once_now_and_changes_nothing_else(works: Clockwork) -> None:
    works.tasks.every(seconds=60, name="job")(works.job())
    works.tasks.ticker.start()
    works.tasks.pause("job")
    entry = works.tasks.ticker.get("job")
    before = (entry.paused, entry.next_at)
    task = works.tasks.trigger("job")
    assert await task.wait(10) == "succeeded"
    assert (entry.paused, entry.next_at) == before
    assert [instant("now", tick) for tick in works.ran] == [works.clock.now()]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_b5_a_trigger_says_that_a_run_is_in_the_way(works: Clockwork, overlap: str) -> None:
    go, entry = held(works, overlap)
    with pytest.raises(Overlapping, match=entry.runs[0].id):
        works.tasks.trigger("held")
    assert issubclass(Overlapping, TaskRefused)
    go.set()


async def test_b5_a_trigger_of_an_unknown_name_names_the_known(works: Clockwork) -> None:
    works.tasks.every(seconds=60, name="job")(works.job())
    with pytest.raises(ScheduleNotFound, match="there are: job"):
        works.tasks.trigger("jobs")


async def test_b5_a_pause_lets_ticks_pass(works: Clockwork) -> None:
    works.tasks.every(seconds=60, name="job")(works.job())
    works.tasks.ticker.start()
    works.tasks.pause("job")
    await works.pass_time(600)
    assert works.ran == []
    works.tasks.resume("job")
    await works.pass_time(60)
    assert len(works.ran) == 1


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, ZoneInfo("UTC"))


SPRING = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=ZoneInfo("Europe/Berlin"))


async def daily(
    works: Clockwork, expression: str, start: datetime, hours: int, tz: str = "Europe/Berlin"
) -> list[str]:
    """Let real hours pass, half by half, and return at what times of day it ran."""
    await works.set_time(start)
    works.tasks.cron(expression, tz=tz, name="job")(works.job())
    works.tasks.ticker.start()
    for _ in range(hours * 2):
        await works.pass_time(1800)
    return [f"{tick:%a %H:%M}" for tick in works.ran]


async def test_b6_a_daily_run_in_the_gap_comes_once_at_its_end(works: Clockwork) -> None:
    assert await daily(works, "30 2 * * *", SPRING, 40) == ["Sun 03:00", "Mon 02:30"]


async def test_b6_a_daily_run_in_the_repeated_hour_comes_once(works: Clockwork) -> None:
    assert await daily(works, "30 2 * * *", AUTUMN, 40) == ["Sun 02:30", "Mon 02:30"]


async def test_b6_an_hourly_run_comes_every_real_hour(works: Clockwork) -> None:
    assert len(await daily(works, "0 * * * *", SPRING, 24)) == 24


async def test_b6_an_hourly_run_comes_in_the_repeated_hour_too(works: Clockwork) -> None:
    ran = await daily(works, "0 * * * *", AUTUMN, 24)
    assert len(ran) == 24
    assert ran.count("Sun 02:00") == 2


@pytest.mark.parametrize(("day", "name"), [("0", "Sun"), ("7", "Sun"), ("1", "Mon")])
async def test_b6_weekdays_are_those_of_cron(works: Clockwork, day: str, name: str) -> None:
    assert await daily(works, f"0 9 * * {day}", SPRING, 24 * 7) == [f"{name} 09:00"]


@pytest.mark.parametrize("expression", ["0 0 31 2 *", "61 * * * *", "@reboot", "* * *"])
def test_b6_impossible_times_are_refused_where_they_are_written(
    tasks: AppTasks, expression: str
) -> None:
    with pytest.raises(ConfigurationError):
        tasks.cron(expression)(lambda: None)


def test_b4_wrong_options_are_refused_where_they_are_written(tasks: AppTasks) -> None:
    wrong: list[Callable[[], Any]] = [
        lambda: tasks.every(seconds=60, overlap="never")(print),
        lambda: tasks.every(seconds=60, scope="world")(print),
        lambda: tasks.every(seconds=0)(print),
        lambda: tasks.cron("@daily", tz="Mars/Base")(print),
        lambda: tasks.every(seconds=60, name="twice")(print),
    ]
    tasks.every(seconds=60, name="twice")(print)
    for call in wrong:
        with pytest.raises(ConfigurationError):
            call()


# -------------------------------------------------------------------------- many processes


def test_b4_a_cluster_needs_a_store(tasks: AppTasks) -> None:
    with pytest.raises(ConfigurationError, match="add_tasks\\(app, queue=queue\\)"):
        tasks.every(seconds=60, scope="cluster")(print)


async def test_b4_one_of_all_processes_fires(clock: ManualClock, tmp_path: Path) -> None:
    queues = [Queue(str(tmp_path / "jobs.db")) for _ in range(2)]
    both = [Clockwork(clock), Clockwork(clock)]
    leads: dict[Clockwork, Leading] = {}
    for works, queue in zip(both, queues, strict=True):
        works.tasks.ticker.locks = queue
        works.tasks.every(seconds=60, name="job", scope="cluster")(works.job())
        works.tasks.ticker.start()
        leading = works.tasks.ticker.get("job").leading
        assert leading is not None
        leads[works] = leading
    await until(lambda: any(leading.leads for leading in leads.values()))
    clock.advance(60)
    for works in both:
        works.tasks.ticker.look()
        await works.tasks.runner.idle(10)
    other, first = sorted(both, key=lambda works: len(works.ran))
    assert (len(first.ran), len(other.ran)) == (1, 0)
    # The other one takes over when the first has stopped, and repeats no tick of it, however
    # late it looks.
    clock.advance(60)
    first.tasks.ticker.look()
    await first.tasks.stop()
    await until(lambda: leads[other].leads)
    await other.pass_time(30)
    assert (len(first.ran), len(other.ran)) == (2, 0)
    await other.pass_time(30)
    assert (len(first.ran), len(other.ran)) == (2, 1)
    await other.tasks.stop()
    for queue in queues:
        await queue.aclose()
