"""Times of day as cron writes them.

cronsim reads the fields and finds matching wall times. Time zones are our own business: in a
zone that shifts by half an hour (Lord Howe Island) cronsim 2.8 loses ticks of wildcard jobs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from cronsim import CronSim, CronSimError

from offload.core.errors import ConfigurationError
from offload.cron.zones import end_of_gap, moments, wall_time, zone

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS = "minute hour day-of-month month day-of-week"
EXAMPLE = '"30 9 * * MON-FRI" is 9:30 on working days'
FAR = 50
"""Years without a match after which there is none; the longest real wait is 40."""
PROBE = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Cron:
    """Ticks at the times of day that match five fields, in the time zone `tz`.

    An alias such as `@daily` becomes its fields. `seconds=True` wants a sixth field, which
    comes first. As in Vixie's cron, a tick needs day-of-month *or* day-of-week to match if both
    are given, and both if one of them begins with `*`.
    """

    expression: str
    tz: str = "UTC"
    seconds: bool = field(default=False, kw_only=True)
    _place: tzinfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what never fires here, not on the day it should.

        Raises:
            ConfigurationError: naming the field, the zone or the way out.
        """
        object.__setattr__(self, "expression", _canonical(self.expression, seconds=self.seconds))
        object.__setattr__(self, "_place", zone(self.tz))
        self.after(PROBE)

    @property
    def text(self) -> str:
        """How this is stored; the time zone is stored beside it."""
        return f"cron:{self.expression}"

    @property
    def is_fixed(self) -> bool:
        """Whether this runs at fixed times, which a change of clocks neither drops nor doubles."""
        minute, hour = self.expression.split()[-5:-3]
        return not minute.startswith("*") and not hour.startswith("*")

    def after(self, instant: int) -> int:
        """Return the first tick strictly after an instant.

        Raises:
            ConfigurationError: there is none within 50 years.
        """
        now = datetime.fromtimestamp(instant // 1000, UTC)
        # A fixed time that comes twice is taken the first time. All others are taken each
        # time, and either pass through the repeated hour may hold the next one.
        folds = (0,) if self.is_fixed else (0, 1)
        return int(min(self._first(now, fold) for fold in folds).timestamp()) * 1000

    def explain(self) -> str:
        """Return the times in words, without the time zone."""
        return CronSim(self.expression, datetime.fromtimestamp(0, UTC)).explain()

    def _first(self, now: datetime, fold: int) -> datetime:
        for wall in self._walls(now):
            tick = self._tick(wall, fold)
            if tick is not None and tick > now:
                return tick
        raise ConfigurationError(
            f"cron {self.expression!r} never fires in {self.tz}: "
            "no such day, or the clocks always skip that time"
        )

    def _walls(self, now: datetime) -> Iterator[datetime]:
        """Return the matching wall times from `now` on, and those that are yet to come again."""
        wall = wall_time(now, self._place)
        first, last = moments(wall, self._place)
        for match in CronSim(self.expression, wall - (last - first)):
            if match.year > wall.year + FAR:
                return
            yield match

    def _tick(self, wall: datetime, fold: int) -> datetime | None:
        first, last = moments(wall, self._place)
        if first <= last:
            return (first, last)[fold]
        return end_of_gap(wall, self._place) if self.is_fixed else None


def _canonical(expression: str, *, seconds: bool) -> str:
    """Return the fields in capitals and a space apart, once cronsim has read them."""
    said = f"cron {expression!r}"
    if expression.strip().lower() == "@reboot":
        raise ConfigurationError(
            f"{said}: a start is no time of day; enqueue the job where your program starts"
        )
    fields = ALIASES.get(expression.strip().lower(), expression).upper().split()
    _check_count(said, len(fields), seconds=seconds)
    try:
        CronSim(" ".join(fields), datetime.fromtimestamp(0, UTC))
    # A ValueError is Python's, for a number of thousands of digits.
    except (CronSimError, ValueError) as error:
        names = f"second {FIELDS}" if seconds else FIELDS
        wrong = str(error).lower() if isinstance(error, CronSimError) else "bad number"
        raise ConfigurationError(
            f"{said}: {wrong} (out of range, misspelt, or a day that the month never has); "
            f"the fields are: {names}; {EXAMPLE}"
        ) from None
    return " ".join(fields)


def _check_count(said: str, found: int, *, seconds: bool) -> None:
    wanted = 6 if seconds else 5
    if found == wanted:
        return
    if found == 6 and not seconds:  # noqa: PLR2004 - six fields are the case that is explained
        way_out = "pass seconds=True if the first is seconds"
    elif seconds:
        way_out = f"with seconds=True they are: second {FIELDS}"
    else:
        way_out = f"they are: {FIELDS}; {EXAMPLE}; aliases: {', '.join(ALIASES)}"
    raise ConfigurationError(f"{said}: has {found} fields, must have {wanted}; {way_out}")
