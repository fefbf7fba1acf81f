"""Limits that jobs share: how many may run at once, and how often one may start."""

import re
from dataclasses import dataclass
from math import ceil

from offload.core.errors import ConfigurationError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
RATE = re.compile(r"(\d+)/(s|m|h|d)")


@dataclass(frozen=True, slots=True)
class Lane:
    """Jobs of one lane share its limits, over all workers. The last enqueued job's limits hold.

    A lane with neither limit keeps those that it has.
    """

    name: str
    interval: float | None = None
    """Seconds between two starts, so that no stretch of time sees more than its share."""
    max_running: int | None = None
    """How many may run at once; a place is free again as soon as its job is not running."""

    @property
    def limited(self) -> bool:
        """Whether this says anything of the lane's limits, and so replaces both."""
        return self.interval is not None or self.max_running is not None


def interval_of(rate: str) -> float:
    """Return the seconds between two starts for a rate such as "10/s", "100/m" or "5/h".

    Raises:
        ConfigurationError: it is not written like that.
    """
    found = RATE.fullmatch(rate)
    if found is None or int(found[1]) == 0:
        raise ConfigurationError(
            f"rate_limit={rate!r}: write a number, a slash and one of s, m, h, d, as in '10/s'"
        )
    return UNITS[found[2]] / int(found[1])


def opens_at(interval: float | None, last_start: int | None, now: int) -> int:
    """Return the instant from which on a lane may start a job, as far as `interval` decides.

    A last start that lies ahead was before the clock was set back: it closes nothing.
    """
    if interval is None or last_start is None or last_start > now:
        return now
    return last_start + ceil(interval * 1000)
