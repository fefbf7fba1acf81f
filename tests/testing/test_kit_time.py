"""Time passes when the test says so."""

from datetime import UTC, datetime, timedelta

import pytest

from offload import (
    ConfigurationError,
    DuplicateJob,
    JobCancelled,
    Queue,
    Unique,
    current_job,
)
from offload.testing import Harness
from tests.testing.program import DONE, fail, note, queue, slow


def test_retries_come_with_time_and_not_before(kit: Harness) -> None:
    job = fail.delay()
    assert kit.drain() == []
    assert (job.refresh().status, DONE) == ("pending", [0])
    kit.advance(49)  # half of 100 s at least
    assert (kit.drain(), DONE) == ([], [0])
    kit.advance(51)
    assert (kit.drain(), DONE) == ([], [0, 1])
    kit.advance(timedelta(seconds=200))
    assert [ended.status for ended in kit.drain()] == ["dead"]
    assert DONE == [0, 1, 2]


def test_eager_retries_run_at_their_times_on_the_way(eager: Harness) -> None:
    began = eager.now
    job = fail.delay()
    eager.advance(timedelta(hours=1))
    assert (job.refresh().status, DONE) == ("dead", [0, 1, 2])
    assert job.finished_at is not None
    passed = job.finished_at / 1000 - began.timestamp()
    assert 150 <= passed <= 300
    assert eager.now == began + timedelta(hours=1)


def test_delays_limits_and_expiry(kit: Harness) -> None:
    note.apply_async(("delayed",), delay=60)
    expired = note.apply_async(("expired",), delay=100, expires=10)
    slow.map([("one",), ("two",)])
    kit.drain()
    assert DONE == ["one"]
    kit.travel_to(kit.now + timedelta(seconds=60))
    assert expired.refresh().status == "cancelled"
    kit.drain()
    assert DONE == ["one", "two", "delayed"]
    with pytest.raises(JobCancelled):
        expired.result()


def test_results_go_when_their_time_is_over(kit: Harness) -> None:
    short, long = note.apply_async(("a",), result_ttl=10), note.delay("b")
    kit.drain()
    kit.advance(11)
    assert queue.get_job(short.id) is None
    assert long.refresh().result() == "b"
    kit.advance(3600)
    assert queue.get_job(long.id) is None


def test_unique_keys(kit: Harness) -> None:
    first = note.apply_async(("a",), unique_key="k")
    assert note.apply_async(("a",), unique_key="k").id == first.id
    window = Unique(scope="window", window=60, on_conflict="reject")
    note.apply_async(("b",), unique=window)
    kit.advance(59)
    with pytest.raises(DuplicateJob):
        note.apply_async(("b",), unique=window)
    kit.advance(2)
    note.apply_async(("b",), unique=window)
    assert len(kit.drain()) == 3


def test_locks_run_out(kit: Harness) -> None:
    with queue.lock("one", ttl=60, extend=False):
        with pytest.raises(TimeoutError), queue.lock("one", timeout=0):
            pass
        kit.advance(61)
        with queue.lock("one", timeout=0) as taken:
            assert not taken.lost


def test_time_goes_forward_only(kit: Harness) -> None:
    with pytest.raises(ConfigurationError, match="back"):
        kit.advance(-1)
    with pytest.raises(ConfigurationError, match="back"):
        kit.travel_to(datetime(2000, 1, 1, tzinfo=UTC))
    with pytest.raises(ConfigurationError, match="time zone"):
        kit.travel_to(datetime(2100, 1, 1))  # noqa: DTZ001 - it is refused


@pytest.mark.parametrize("eager", [True, False])
def test_a_week_of_ticks(*, eager: bool) -> None:
    own = Queue("memory://")
    fired: list[datetime | None] = []

    @own.periodic(every=3600, name="hourly")
    @own.periodic(cron="0 9 * * *", name="daily")
    @own.task
    def tick() -> None:
        fired.append(current_job.tick)

    monday = datetime(2024, 1, 1, 0, 30, tzinfo=UTC)
    with Harness(own, eager=eager, now=monday) as kit:
        kit.advance(timedelta(weeks=1))
        kit.drain()
        jobs = kit.enqueued(tick)
    assert len(jobs) == len(fired) == 7 * 25
    assert fired == sorted(fired, key=str)
    assert all(job.created_at == job.tick for job in jobs)
    own.close()


def test_schedules_that_a_test_pauses_or_deletes_stay_so() -> None:
    own = Queue("memory://")

    @own.periodic(every=60, name="paused")
    @own.periodic(every=60, name="deleted")
    @own.periodic(every=60, name="edited")
    @own.task
    def tick() -> None:
        fired.append(current_job.schedule)

    fired: list[str | None] = []
    with Harness(own, eager=True) as kit:
        kit.advance(0)  # what the code defines is stored
        own.pause_periodic("paused")
        own.delete_periodic("deleted")
        own.edit_periodic("edited", every=600)
        kit.advance(600)
    assert fired == ["edited"]
    own.close()
