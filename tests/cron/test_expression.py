"""What cron's five fields mean, where libraries are known to differ, and what is refused."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, strategies as st

from offload.core.errors import ConfigurationError
from offload.cron import Cron, describe
from tests.cron.walls import local, ms, ticks

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
BEFORE = NEW_YEAR - timedelta(milliseconds=1)
FOREVER = datetime(2200, 1, 1, tzinfo=UTC)

DAYS = {
    "0 0 * * 0": "01-04 01-11 01-18",
    "0 0 * * 7": "01-04 01-11 01-18",
    "0 0 * * sun": "01-04 01-11 01-18",
    "0 0 * * 1": "01-05 01-12 01-19",
    "0 0 * * 5-7": "01-02 01-03 01-04 01-09",
    "0 0 * * MON-FRI": "01-01 01-02 01-05",
    "0 0 * * MON,Wed": "01-05 01-07 01-12",
    "0 0 1 JAN,jul *": "01-01 07-01 01-01",
    "0 0 1 1-12/6 *": "01-01 07-01 01-01",
    # Both days given: either will do, as in Vixie's cron …
    "0 0 13 * 5": "01-02 01-09 01-13 01-16",
    # … but not where one begins with a star.
    "0 0 */2 * 1": "01-05 01-19 02-09",
    "0 0 L * *": "01-31 02-28 03-31",
    "0 0 LW * *": "01-30 02-27 03-31",
    "0 0 * * FRI#2": "01-09 02-13 03-13",
    "0 0 * * 5L": "01-30 02-27 03-27",
    "0 0 31 * *": "01-31 03-31 05-31",
    "0 0 29 2 *": "02-29 02-29",
}

TIMES = {
    "*/20 9-10 * * *": "09:00 09:20 09:40 10:00 10:20 10:40 09:00",
    "5/20 * * * *": "00:05 00:25 00:45 01:05",
    "10-30/10 3 * * *": "03:10 03:20 03:30 03:10",
    "0 22,1-3/2 * * *": "01:00 03:00 22:00 01:00",
    "  0   9 * * * ": "09:00 09:00",
}


def first(job: Cron, count: int) -> list[datetime]:
    return [local(tick, job.tz) for tick in islice(ticks(job, BEFORE, FOREVER), count)]


@pytest.mark.parametrize(("expression", "expected"), DAYS.items())
def test_days(expression: str, expected: str) -> None:
    days = expected.split()
    assert [f"{tick:%m-%d}" for tick in first(Cron(expression), len(days))] == days


@pytest.mark.parametrize(("expression", "expected"), TIMES.items())
def test_times(expression: str, expected: str) -> None:
    times = expected.split()
    assert [f"{tick:%H:%M}" for tick in first(Cron(expression), len(times))] == times


@pytest.mark.parametrize(
    ("alias", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        (" @Daily ", "0 0 * * *"),
    ],
)
def test_an_alias_is_its_fields(alias: str, expression: str) -> None:
    assert Cron(alias, "Europe/Berlin") == Cron(expression, "Europe/Berlin")


def test_seconds_come_first() -> None:
    job = Cron("*/25 1 0 * * *", seconds=True)
    assert [f"{tick:%H:%M:%S}" for tick in first(job, 4)] == [
        "00:01:00",
        "00:01:25",
        "00:01:50",
        "00:01:00",
    ]


def test_a_leap_day_that_must_be_a_monday_may_be_forty_years_away() -> None:
    assert [tick.year for tick in first(Cron("0 0 * 2 MON#5"), 3)] == [2044, 2072, 2112]


def test_a_tick_is_after_the_instant_to_the_millisecond() -> None:
    hour = ms(NEW_YEAR)
    job = Cron("@hourly")
    assert [job.after(hour + shift) - hour for shift in (-1, 0, 1, 3_599_999)] == [
        0,
        3_600_000,
        3_600_000,
        3_600_000,
    ]


WRONG = {
    "61 * * * *": "bad minute",
    "* 24 * * *": "bad hour",
    "* * 0 * *": "bad day-of-month",
    "* * * 13 *": "bad month",
    "* * * * 8": "bad day-of-week",
    "* * * FOO *": "bad month",
    "* * * * FRI-MON": "bad day-of-week",
    "*/0 * * * *": "bad minute",
    "5- * * * *": "bad minute",
    ", * * * *": "bad minute",
    "9" * 5000 + " * * * *": "bad number",
    "0 0 30 2 *": "a day that the month never has",
    "0 0 31 4,6 *": "a day that the month never has",
    "": "has 0 fields, must have 5",
    "0 9 * *": "has 4 fields, must have 5; they are: minute hour day-of-month",
    "0 0 9 * * *": "pass seconds=True",
    "0 0 0 9 * * 2026": "has 7 fields",
    "@reboot": "enqueue the job where your program starts",
    "@fortnightly": "aliases: @yearly",
}


@pytest.mark.parametrize(("expression", "message"), WRONG.items())
def test_what_is_wrong_is_named(expression: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cron(expression)


def test_seconds_want_six_fields() -> None:
    with pytest.raises(ConfigurationError, match=r"has 5 fields, must have 6; .*: second minute"):
        Cron("0 9 * * *", seconds=True)


def test_a_time_that_the_clocks_always_skip_never_fires() -> None:
    # Hour 2 of the last Sunday of March; a fixed time would run when the gap ends.
    with pytest.raises(ConfigurationError, match="never fires in Europe/Berlin"):
        Cron("*/5 2 * 3 7L", "Europe/Berlin")
    assert Cron("*/5 2 * 3 7L", "America/New_York").after(0) > 0
    assert Cron("5 2 * 3 7L", "Europe/Berlin").after(0) > 0


@pytest.mark.parametrize("name", ["Europe/Berlinn", "Europe", "", "/etc/passwd", "../zone", "a\0b"])
def test_an_unknown_time_zone_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no such time zone; write it as") as caught:
        Cron("@daily", name)
    assert repr(name) in str(caught.value)


def test_a_system_without_time_zones_says_what_to_install() -> None:
    program = """
import sys
sys.modules["tzdata"] = None  # as if it were not installed
from offload.core.errors import ConfigurationError
from offload.cron import Cron
print(Cron("@daily").after(0))
try:
    Cron("@daily", "Europe/Berlin")
except ConfigurationError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    tick, message = result.stdout.splitlines()
    assert tick == "86400000"
    assert message.startswith("tz='Europe/Berlin'")
    assert message.endswith("pip install tzdata")


FUZZ = st.text("0123456789*/,-#LWMONFRI@ ", max_size=30)


@given(FUZZ | FUZZ.map("* * {} * *".format) | FUZZ.map("* * * * {}".format))
def test_any_text_is_a_trigger_or_refused(text: str) -> None:
    try:
        job = Cron(text)
    except ConfigurationError:
        return
    assert job.after(0) > 0
    assert describe(job)
