"""What the clock on a wall shows, and when: the two ways between wall time and real time.

A wall time is written as a datetime labelled UTC, so that no naive one is ever at large.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from offload.core.errors import ConfigurationError

MINUTE = timedelta(minutes=1)
LARGE = timedelta(hours=3)
"""A shift this long corrects a clock or moves a country, says Debian's cron: nothing is made up."""


def zone(name: str) -> tzinfo:
    """Return the time zone of that name; UTC is there even on a system without zones.

    Raises:
        ConfigurationError: there is none.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    # Some names make zoneinfo open a folder, or refuse a path; all are wrong names here.
    except (LookupError, ValueError, OSError, TypeError):
        raise ConfigurationError(f"tz={name!r}: {_way_out()}") from None


def _way_out() -> str:
    if available_timezones():
        return 'no such time zone; write it as "Europe/Berlin" or "UTC"'
    return "this system has no time zones; install them with: pip install tzdata"


def wall_time(moment: datetime, place: tzinfo) -> datetime:
    """Return what the clock shows at a moment."""
    return moment.astimezone(place).replace(tzinfo=UTC, fold=0)


def moments(wall: datetime, place: tzinfo) -> tuple[datetime, datetime]:
    """Return when the clock shows this for the first time and for the last, most often one.

    The last is before the first if the clock skips this time.
    """
    first, last = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, last


def end_of_gap(wall: datetime, place: tzinfo) -> datetime | None:
    """Return when the clock goes on that skips `wall`; None if it skips three hours or more."""
    first, last = moments(wall, place)
    if first - last >= LARGE:
        return None
    wall = wall.replace(second=0)
    while first > last:
        wall += MINUTE
        first, last = moments(wall, place)
    return first
