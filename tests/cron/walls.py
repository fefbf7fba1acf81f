"""What clocks showed, found minute by minute and without cron: the oracle of these tests."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from offload.cron import Cron

ZONES = (
    "UTC",
    "Africa/Casablanca",  # four changes a year, around Ramadan
    "America/New_York",
    "America/Sao_Paulo",  # changed at midnight; no changes since 2019
    "America/St_Johns",  # half an hour off, changed at 0:01 until 2011
    "Antarctica/Troll",  # changes by two hours
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",  # changed its offset by half an hour, twice
    "Australia/Lord_Howe",  # changes by half an hour
    "Europe/Berlin",
    "Pacific/Apia",  # had no 30 December 2011
)
START = datetime(2010, 1, 1, tzinfo=UTC)
END = datetime(2020, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def local(instant: int, zone: str) -> datetime:
    return datetime.fromtimestamp(instant / 1000, ZoneInfo(zone))


def ticks(cron: Cron, start: datetime, end: datetime) -> Iterator[int]:
    """The ticks in (start, end], each asked for anew, as workers do."""
    tick = cron.after(ms(start))
    while tick <= ms(end):
        yield tick
        tick = cron.after(tick)


def shown(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    """What the clock shows at each tick, to be looked at in parts or as text.

    Comparing says too little: Python takes the two passes through a repeated hour for one.
    """
    return [local(tick, cron.tz) for tick in ticks(cron, start, end)]


@cache
def hours(zone: str) -> tuple[datetime, ...]:
    """Every real hour of ten years."""
    count = (END - START) // HOUR
    return tuple((START + hour * HOUR).astimezone(ZoneInfo(zone)) for hour in range(count))


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The hours in which the clocks of a zone were changed."""
    pairs = zip(hours(zone), hours(zone)[1:], strict=False)
    return tuple(before for before, after in pairs if before.utcoffset() != after.utcoffset())


def minutes(zone: str, change: datetime) -> list[datetime]:
    """Every real minute of the day around a change."""
    start = change.astimezone(UTC) - 12 * HOUR
    return [(start + n * MINUTE).astimezone(ZoneInfo(zone)) for n in range(1, 24 * 60 + 1)]


CHANGES = [(zone, change) for zone in ZONES for change in changes(zone)]

anywhen = st.tuples(st.sampled_from(ZONES), st.integers(0, ms(START) * 3))
near_a_change = st.builds(
    lambda at, shift: (at[0], ms(at[1]) + shift),
    st.sampled_from(CHANGES),
    st.integers(-4 * 3600 * 1000, 4 * 3600 * 1000),
)
moments = anywhen | near_a_change
"""A zone and an instant, as often as not near a change of its clocks."""
