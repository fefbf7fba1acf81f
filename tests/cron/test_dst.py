"""Changes of the clocks, over ten years and in zones that change them in every known way."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from offload.cron import Cron
from tests.cron.walls import (
    CHANGES,
    END,
    HOUR,
    START,
    ZONES,
    changes,
    hours,
    local,
    minutes,
    moments,
    ms,
    shown,
    ticks,
)

DAY = timedelta(days=1)


def test_the_zones_change_in_all_these_ways() -> None:
    assert len(ZONES) >= 10
    assert {zone for zone in ZONES if not changes(zone)} == {
        "UTC",
        "Asia/Kathmandu",
        "Asia/Kolkata",
    }
    assert len(CHANGES) > 100


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", [time(0, 0), time(2, 30)])
def test_a_daily_job_fires_once_on_every_day_that_there_is(zone: str, at: time) -> None:
    job = Cron(f"{at.minute} {at.hour} * * *", zone)
    fired = list(ticks(job, START, END - HOUR))
    assert all(one < other for one, other in pairwise(fired))
    days = {hour.date() for hour in hours(zone)}
    # The first day and the last may have had their time before or after the ten years.
    edges = {min(days), max(days)}
    found = Counter(day for tick in fired if (day := local(tick, zone).date()) not in edges)
    assert found == dict.fromkeys(days - edges, 1)


@pytest.mark.parametrize("zone", ZONES)
def test_a_daily_job_is_early_never_and_late_only_where_its_time_was_skipped(zone: str) -> None:
    for tick in shown(Cron("30 2 * * *", zone), START, END):
        wall = datetime.combine(tick.date(), time(2, 30), ZoneInfo(zone))
        exists = wall.astimezone(UTC).astimezone(ZoneInfo(zone)) == wall
        before = (tick.astimezone(UTC) - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
        changed = before.utcoffset() != tick.utcoffset()
        assert (tick == wall and tick.fold == 0) if exists else changed


WILDCARDS: dict[str, Callable[[datetime], bool]] = {
    "0 * * * *": lambda wall: wall.minute == 0,
    "45 * * * *": lambda wall: wall.minute == 45,
    "*/15 * * * *": lambda wall: wall.minute % 15 == 0,
    "* 2 * * *": lambda wall: wall.hour == 2,
    "*/15 2 * * *": lambda wall: wall.hour == 2 and wall.minute % 15 == 0,
    "*/30 0 * * *": lambda wall: wall.hour == 0 and wall.minute % 30 == 0,
    "30 */3 * * *": lambda wall: wall.hour % 3 == 0 and wall.minute == 30,
    "*/20 1-3 * * *": lambda wall: wall.hour in {1, 2, 3} and wall.minute % 20 == 0,
}


@pytest.mark.parametrize("zone", ZONES)
def test_a_wildcard_job_fires_in_each_real_minute_that_matches(zone: str) -> None:
    for change in changes(zone):
        real = minutes(zone, change)
        for expression, matches in WILDCARDS.items():
            found = list(ticks(Cron(expression, zone), real[0] - timedelta(minutes=1), real[-1]))
            assert found == [ms(wall) for wall in real if matches(wall)], (expression, change)


GAPS_AND_FOLDS = {
    # Spring: the time is skipped, so the job runs when the clocks have been changed.
    ("America/New_York", "30 2 * * *", "2026-03-08"): ["2026-03-08T03:00-04:00"],
    ("America/New_York", "0,30 2 * * *", "2026-03-08"): ["2026-03-08T03:00-04:00"],
    ("America/New_York", "30 2,3 * * *", "2026-03-08"): [
        "2026-03-08T03:00-04:00",
        "2026-03-08T03:30-04:00",
    ],
    ("Europe/Berlin", "30 2 * * *", "2026-03-29"): ["2026-03-29T03:00+02:00"],
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04"): ["2026-10-04T02:30+11:00"],
    ("America/Sao_Paulo", "0 0 * * *", "2018-11-04"): ["2018-11-04T01:00-02:00"],
    ("Antarctica/Troll", "30 1 * * *", "2026-03-29"): ["2026-03-29T03:00+02:00"],
    ("Asia/Pyongyang", "45 23 * * *", "2018-05-05"): [
        "2018-05-05T00:00+09:00",
        "2018-05-05T23:45+09:00",
    ],
    # Autumn: the time comes twice, the job runs once.
    ("America/New_York", "30 1 * * *", "2026-11-01"): ["2026-11-01T01:30-04:00"],
    ("Europe/Berlin", "30 2 * * *", "2026-10-25"): ["2026-10-25T02:30+02:00"],
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-05"): ["2026-04-05T01:45+11:00"],
    ("America/Sao_Paulo", "30 23 * * *", "2019-02-16"): ["2019-02-16T23:30-02:00"],
    # A country that moves skips a whole day. What stood there is not made up for.
    ("Pacific/Apia", "0 12 * * *", "2011-12-30"): [],
    ("Pacific/Apia", "0 12 * * *", "2011-12-31"): ["2011-12-31T12:00+14:00"],
}


@pytest.mark.parametrize(("job", "expected"), GAPS_AND_FOLDS.items())
def test_fixed_times_in_gaps_and_folds(job: tuple[str, str, str], expected: list[str]) -> None:
    zone, expression, day = job
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    near = shown(Cron(expression, zone), midnight - 2 * DAY, midnight + 2 * DAY)
    on_day = [tick for tick in near if tick.date() == midnight.date()]
    assert [tick.isoformat(timespec="minutes") for tick in on_day] == expected


@pytest.mark.parametrize("minute", range(0, 180, 10))
def test_a_worker_that_starts_in_the_repeated_hour_fires_nothing_again(minute: int) -> None:
    start = datetime.fromisoformat("2026-11-01T01:30-04:00") + timedelta(minutes=minute)
    tick = Cron("30 1 * * *", "America/New_York").after(ms(start))
    assert tick == ms(datetime.fromisoformat("2026-11-02T01:30-05:00"))


def test_seconds_follow_the_same_rules() -> None:
    job = Cron("15 30 2 * * *", "Europe/Berlin", seconds=True)
    spring = datetime.fromisoformat("2026-03-28T12:00+01:00")
    autumn = datetime.fromisoformat("2026-10-25T02:30:15+02:00")
    assert job.after(ms(spring)) == ms(datetime.fromisoformat("2026-03-29T03:00+02:00"))
    assert job.after(ms(autumn)) == ms(datetime.fromisoformat("2026-10-26T02:30:15+01:00"))


JOBS = [*WILDCARDS, "30 2 * * *", "0 0 * * *", "5,50 0-4 * * 0,3", "0 9 1 * MON", "59 23 L * *"]


@given(st.sampled_from(JOBS), moments, st.floats(0, 1, exclude_max=True))
def test_after_is_the_first_tick_whoever_asks(
    expression: str, moment: tuple[str, int], part: float
) -> None:
    zone, instant = moment
    job = Cron(expression, zone)
    tick = job.after(instant)
    assert tick > instant
    assert job.after(instant + int(part * (tick - instant))) == tick
    assert job.after(tick) > tick
