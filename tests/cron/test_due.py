"""Which ticks fire: on time, late, after an outage, with the clock set back."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from offload.core.errors import ConfigurationError
from offload.core.schedule import CatchUp
from offload.cron import MOST_COUNTED, MOST_TICKS, Cron, Due, Every, Trigger, due, jittered

HOUR = 3_600_000
NOON = 1_767_268_800_000  # 2026-01-01 12:00 UTC
HOURLY = Every(3600)
SKIP, ONE, ALL = CatchUp.SKIP, CatchUp.ONE, CatchUp.ALL
policies = st.sampled_from(CatchUp)


@pytest.mark.parametrize("policy", CatchUp)
@pytest.mark.parametrize("late", [0, 1, 60_000])
def test_a_tick_within_the_grace_is_on_time(policy: CatchUp, late: int) -> None:
    assert due(HOURLY, NOON, NOON + late, policy) == Due((NOON,), NOON + HOUR, dropped=0)


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (SKIP, Due((), NOON + HOUR, dropped=1)),
        (ONE, Due((NOON,), NOON + HOUR, dropped=0)),
        (ALL, Due((NOON,), NOON + HOUR, dropped=0)),
    ],
)
def test_a_tick_past_the_grace_is_missed(policy: CatchUp, found: Due) -> None:
    assert due(HOURLY, NOON, NOON + 60_001, policy) == found


@pytest.mark.parametrize(
    ("policy", "ticks", "dropped"),
    [(SKIP, [3], 3), (ONE, [2, 3], 2), (ALL, [0, 1, 2, 3], 0)],
)
def test_what_was_missed_and_what_is_on_time(
    policy: CatchUp, ticks: list[int], dropped: int
) -> None:
    fire = tuple(NOON + n * HOUR for n in ticks)
    assert due(HOURLY, NOON, NOON + 3 * HOUR + 5, policy) == Due(fire, NOON + 4 * HOUR, dropped)


def test_one_is_the_default_and_a_minute_the_grace() -> None:
    assert due(HOURLY, NOON, NOON + 3 * HOUR - 1) == Due((NOON + 2 * HOUR,), NOON + 3 * HOUR, 2)
    assert due(HOURLY, NOON, NOON + 2 * HOUR, SKIP, grace=2 * 3600).dropped == 0
    assert due(HOURLY, NOON, NOON + 1, SKIP, grace=0) == Due((), NOON + HOUR, dropped=1)


@pytest.mark.parametrize("policy", CatchUp)
def test_before_its_time_nothing_fires_and_nothing_moves(policy: CatchUp) -> None:
    assert due(HOURLY, NOON, NOON - 1, policy) == Due((), NOON)
    assert due(HOURLY, NOON, 0, policy) == Due((), NOON)


@pytest.mark.parametrize("passed", [99, 100, 101, 999, 1000, 1001, 1050, 1100, 1101, 600_000])
@pytest.mark.parametrize("trigger", [Every(60), Every(60, NOON), Cron("* * * * *", "Asia/Kolkata")])
def test_of_many_missed_ticks_the_newest_hundred_fire(trigger: Trigger, passed: int) -> None:
    minute = 60_000
    now = NOON + passed * minute - 1
    found = due(trigger, NOON, now, ALL, grace=0)
    newest = range(max(0, passed - MOST_TICKS), passed)
    assert found.ticks == tuple(NOON + n * minute for n in newest)
    assert found.next_at == NOON + passed * minute
    assert found.dropped == min(passed, MOST_COUNTED) - len(newest)


def test_after_an_outage_of_years_the_newest_missed_tick_fires() -> None:
    trigger = Cron("*/10 0 1-7 * MON", "Europe/Berlin")
    now = NOON + 20 * 365 * 24 * HOUR
    [tick] = due(trigger, trigger.after(NOON), now, ONE).ticks
    assert tick <= now < trigger.after(tick)


def test_a_trigger_that_was_changed_still_fires_the_tick_that_was_promised() -> None:
    promised = NOON + 17
    assert due(HOURLY, promised, promised) == Due((promised,), NOON + HOUR)


@pytest.mark.parametrize("tick", [NOON, NOON + 7])
def test_the_promised_tick_counts_among_many(tick: int) -> None:
    found = due(Every(1), tick, NOON + 2000 * 1000, ALL)
    assert len(found.ticks) == MOST_TICKS
    assert found.ticks[-1] == NOON + 2000 * 1000


looks = st.lists(st.integers(-5 * HOUR, 5 * HOUR), max_size=20)


@given(st.sampled_from([HOURLY, Every(1800.5), Cron("*/20 * * * *")]), policies, looks)
def test_nothing_fires_twice_however_the_clock_is_set(
    trigger: Trigger, policy: CatchUp, shifts: list[int]
) -> None:
    now, next_at, fired, accounted = NOON, trigger.after(NOON), list[int](), 0
    first = next_at
    for shift in shifts:
        now += shift
        found = due(trigger, next_at, now, policy)
        assert found.next_at >= next_at
        assert found.next_at > now
        fired += found.ticks
        accounted += len(found.ticks) + found.dropped
        next_at = found.next_at
    assert all(one < other for one, other in pairwise(fired))
    assert accounted == len(between(trigger, first, next_at))


def between(trigger: Trigger, tick: int, end: int) -> list[int]:
    found = []
    while tick < end:
        found.append(tick)
        tick = trigger.after(tick)
    return found


@given(st.text(), st.integers(0, 2 * NOON), st.floats(0, 1e9))
def test_jitter_is_the_same_for_all_and_within_bounds(name: str, tick: int, jitter: float) -> None:
    delay = jittered(tick, name, jitter)
    assert delay == jittered(tick, name, jitter)
    assert 0 <= delay < jitter or delay == jitter < 1e-300  # where no float lies between


def test_jitter_is_the_same_in_each_process_and_release() -> None:
    assert jittered(NOON, "nightly", 60) == pytest.approx(6.170733)


def test_jitter_spreads_names_and_ticks() -> None:
    for delays in (
        [jittered(NOON, f"schedule-{n}", 10) for n in range(1000)],
        [jittered(NOON + n * HOUR, "nightly", 10) for n in range(1000)],
    ):
        tenths = [sum(1 for delay in delays if int(delay) == tenth) for tenth in range(10)]
        assert min(tenths) > 50


@pytest.mark.parametrize("jitter", [-1, math.nan, math.inf])
def test_jitter_must_be_seconds(jitter: float) -> None:
    with pytest.raises(ConfigurationError, match=r"jitter=.*: must be a number of seconds"):
        jittered(NOON, "nightly", jitter)
