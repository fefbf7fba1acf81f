"""Which ticks fire now: what a worker asks when it has looked at a schedule."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from math import inf

from offload.core.errors import ConfigurationError
from offload.core.schedule import CatchUp
from offload.cron.triggers import Trigger

GRACE = 60.0
MOST_TICKS = 100
"""How many ticks may fire at once, whatever the policy."""
MOST_COUNTED = 1000
"""How many passed ticks are counted: a year of missed minutes must not hold up a worker."""


@dataclass(frozen=True, slots=True)
class Due:
    """What to do about a schedule: fire `ticks`, in this order, then look again at `next_at`.

    `dropped` ticks passed and will not fire. Of more than 1000 that passed, 1000 are counted.
    """

    ticks: tuple[int, ...]
    next_at: int
    dropped: int = 0


def due(
    trigger: Trigger,
    next_at: int,
    now: int,
    policy: CatchUp = CatchUp.ONE,
    grace: float = GRACE,
) -> Due:
    """Return which ticks from `next_at` to `now` fire, and the first one after `now`.

    A tick that is late by at most `grace` seconds is on time and fires whatever the policy.
    `next_at` only moves forward, so nothing fires twice, even if the clock is set back.
    """
    if now < next_at:
        return Due((), next_at)
    recent, count = _passed(trigger, next_at, now)
    on_time = [tick for tick in recent if tick >= now - grace * 1000]
    missed = recent[: len(recent) - len(on_time)]
    kept = {CatchUp.SKIP: [], CatchUp.ONE: missed[-1:], CatchUp.ALL: missed}[policy]
    fire = (*kept, *on_time)
    return Due(fire, trigger.after(now), count - len(fire))


def _passed(trigger: Trigger, first: int, now: int) -> tuple[list[int], int]:
    """Return the newest ticks up to `now`, and how many there were, 1000 at most."""
    newest: deque[int] = deque(maxlen=MOST_TICKS)
    count = 0
    for tick in islice(_forward(trigger, first, now), MOST_COUNTED):
        newest.append(tick)
        count += 1
    if count < MOST_COUNTED:
        return list(newest), count
    return [*islice(_backward(trigger, newest[0], now), MOST_TICKS)][::-1], count


def _forward(trigger: Trigger, tick: int, now: int) -> Iterator[int]:
    while tick <= now:
        yield tick
        tick = trigger.after(tick)


def _backward(trigger: Trigger, first: int, now: int) -> Iterator[int]:
    """Return the ticks from the last one up to `now` back to `first`, found by halving."""
    while now >= first:
        tick, end = first, now + 1
        while end - tick > 1:
            middle = (tick + end) // 2
            found = trigger.after(middle)
            tick, end = (found, end) if found <= now else (tick, middle)
        yield tick
        now = tick - 1


def jittered(tick: int, name: str, jitter: float) -> float:
    """Return the seconds by which a tick of the schedule `name` waits: 0 or more, below `jitter`.

    It is drawn from the name and the tick, so that all workers agree on it without talking.

    Raises:
        ConfigurationError: `jitter` is negative or not finite.
    """
    if not 0 <= jitter < inf:
        raise ConfigurationError(f"jitter={jitter!r}: must be a number of seconds, 0 or more")
    digest = blake2b(f"{tick}:{name}".encode(), digest_size=4).digest()
    return jitter * int.from_bytes(digest, "big") / 2**32
