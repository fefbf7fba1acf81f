"""The two kinds of triggers, their stored form, and how they are told to people."""

import re
from dataclasses import dataclass
from typing import ClassVar

from offload.core.errors import ConfigurationError
from offload.cron.expression import Cron

SHORTEST = 1.0
LONGEST = 3650 * 86400.0
EVERY = re.compile(r"every:(\d+(?:\.\d{1,3})?)(?:@(\d+))?")


@dataclass(frozen=True, slots=True)
class Every:
    """Ticks at `start`, `start + seconds`, `start + 2 * seconds` …: late workers shift none.

    `start` is an instant. Without it ticks count from the epoch, so that every process and
    every restart agrees on them: every 3600 s is on the hour, in UTC.
    """

    seconds: float
    start: int | None = None
    tz: ClassVar[None] = None

    def __post_init__(self) -> None:
        """Refuse what a worker cannot keep up with, or a store cannot keep.

        Raises:
            ConfigurationError: `seconds` or `start` is out of range.
        """
        if not SHORTEST <= self.seconds <= LONGEST:
            raise ConfigurationError(
                f"every={self.seconds!r}: must be from 1 second to 3650 days, in seconds; "
                "what is to happen more often is one job with a loop in it"
            )
        if self.start is not None and (type(self.start) is not int or self.start < 0):
            raise ConfigurationError(f"start={self.start!r}: must be a Unix time in milliseconds")
        object.__setattr__(self, "seconds", round(self.seconds * 1000) / 1000)

    @property
    def text(self) -> str:
        """How this is stored."""
        anchor = "" if self.start is None else f"@{self.start}"
        return f"every:{_number(self.seconds)}{anchor}"

    def after(self, instant: int) -> int:
        """Return the first tick strictly after an instant; none is before `start`."""
        interval, anchor = round(self.seconds * 1000), self.start or 0
        return anchor + max(0, (instant - anchor) // interval + 1) * interval


Trigger = Cron | Every


def parse_trigger(text: str, tz: str | None = None) -> Trigger:
    """Return the trigger whose `text` and `tz` these are.

    Raises:
        ConfigurationError: they are those of no trigger.
    """
    kind, _, rest = text.partition(":")
    if kind == "cron":
        return Cron(rest, tz or "UTC", seconds=len(rest.split()) == 6)  # noqa: PLR2004 - its fields
    if found := EVERY.fullmatch(text):
        seconds, start = found.groups()
        return Every(float(seconds), None if start is None else int(start))
    raise ConfigurationError(f'trigger {text!r}: must be like "cron:0 9 * * *" or "every:30"')


def describe(trigger: Trigger) -> str:
    """Return a trigger in words, for people."""
    if isinstance(trigger, Every):
        return f"Every {_number(trigger.seconds)} s"
    return f"{trigger.explain()} ({trigger.tz})"


def _number(seconds: float) -> str:
    return repr(seconds).removesuffix(".0")
