"""Intervals, the stored form of triggers, and how they read."""

import pytest
from hypothesis import given, strategies as st

from offload.core.errors import ConfigurationError
from offload.cron import Cron, Every, Trigger, describe, parse_trigger
from tests.cron.walls import ZONES

NOON = 1_767_268_800_000  # 2026-01-01 12:00 UTC
expressions = st.sampled_from(["@daily", "*/5 * * * *", "0 9 1,15 * mon-fri", "30 2 * * 7"])
intervals = st.builds(
    Every, st.integers(1000, 10**9).map(lambda ms: ms / 1000), st.none() | st.integers(0, NOON)
)
triggers = (
    st.builds(Cron, expressions, st.sampled_from(ZONES))
    | st.sampled_from(ZONES).map(lambda zone: Cron("*/10 * * * * MON", zone, seconds=True))
    | intervals
)


def test_intervals_count_from_the_epoch() -> None:
    assert Every(3600).after(NOON) == NOON + 3_600_000
    assert Every(3600).after(NOON - 1) == NOON
    assert Every(3600).after(NOON + 1) == NOON + 3_600_000


def test_intervals_count_from_their_start_and_never_before_it() -> None:
    trigger = Every(90, start=NOON)
    assert trigger.after(0) == NOON
    assert trigger.after(NOON - 1) == NOON
    assert trigger.after(NOON) == NOON + 90_000
    assert trigger.after(NOON + 200_000) == NOON + 270_000


@given(intervals, st.integers(0, 2 * NOON))
def test_no_interval_drifts(trigger: Every, instant: int) -> None:
    tick, anchor = trigger.after(instant), trigger.start or 0
    assert tick > instant
    assert (tick - anchor) % round(trigger.seconds * 1000) == 0
    assert tick == anchor or tick - instant <= round(trigger.seconds * 1000)


@pytest.mark.parametrize("seconds", [0, -1, 0.999, float("nan"), float("inf"), 1e12])
def test_an_interval_too_short_or_endless_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match=r"every=.*: must be from 1 second to 3650 days"):
        Every(seconds)


@pytest.mark.parametrize("start", [-1, 1.5, True])
def test_a_start_that_is_no_instant_is_refused(start: int) -> None:
    with pytest.raises(ConfigurationError, match=r"start=.*: must be a Unix time in milliseconds"):
        Every(30, start)


@pytest.mark.parametrize(
    ("trigger", "text", "tz"),
    [
        (Cron("0 9 * * mon"), "cron:0 9 * * MON", "UTC"),
        (Cron("@daily", "Europe/Berlin"), "cron:0 0 * * *", "Europe/Berlin"),
        (Cron("0 0 9 * * *", seconds=True), "cron:0 0 9 * * *", "UTC"),
        (Every(30), "every:30", None),
        (Every(1.5, start=NOON), "every:1.5@1767268800000", None),
        (Every(0.1 + 1.1), "every:1.2", None),
    ],
)
def test_the_stored_form(trigger: Trigger, text: str, tz: str | None) -> None:
    assert (trigger.text, trigger.tz) == (text, tz)


@given(triggers)
def test_the_stored_form_reads_back(trigger: Trigger) -> None:
    assert parse_trigger(trigger.text, trigger.tz) == trigger


@pytest.mark.parametrize(
    "text", ["", "0 9 * * *", "every:", "every:x", "every:-1", "every:1e3", "each:30", "every:30@"]
)
def test_what_is_no_trigger_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r'must be like "cron:0 9 .* or "every:30"'):
        parse_trigger(text)


def test_a_stored_expression_without_zone_is_in_utc() -> None:
    assert parse_trigger("cron:0 9 * * *") == Cron("0 9 * * *", "UTC")


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (
            Cron("0 9 * * MON-FRI", "Europe/Berlin"),
            "At 09:00 on Monday through Friday (Europe/Berlin)",
        ),
        (Cron("@hourly"), "At the start of every hour (UTC)"),
        (Every(30), "Every 30 s"),
        (Every(1.5), "Every 1.5 s"),
    ],
)
def test_triggers_in_words(trigger: Trigger, words: str) -> None:
    assert describe(trigger) == words
