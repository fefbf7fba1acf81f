"""How long to wait before the next attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from offload.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with a cap, drawn from the upper half of the interval.

    `max_retries` counts retries after the first attempt. Times are in seconds.
    """

    max_retries: int = 3
    backoff: float = 1.0
    max_delay: float = 300.0
    delays: tuple[float, ...] = ()
    """What to wait before each retry instead, exactly; the last one holds for all further ones."""

    def __post_init__(self) -> None:
        """Refuse values that would retry for ever or never wait.

        Raises:
            ConfigurationError: a number is negative or not finite.
        """
        for name in ("max_retries", "backoff", "max_delay"):
            value = getattr(self, name)
            if not 0 <= value < inf:
                raise ConfigurationError(f"{name}={value!r}: must be 0 or more")
        if not all(0 <= value < inf for value in self.delays):
            raise ConfigurationError(f"delays={self.delays!r}: each must be 0 or more")

    def delay(self, retry: int, rng: Callable[[], float]) -> float:
        """Return the seconds before retry number `retry` (1 is the first).

        `rng` gives a number in [0, 1). Drawing from the upper half spreads a burst of failures
        out ("equal jitter", AWS Architecture Blog 2015) and still never retries at once.
        """
        if self.delays:
            return self.delays[min(max(retry, 1), len(self.delays)) - 1]
        # 2**1024 overflows a float long after every cap has been reached.
        full = min(self.max_delay, self.backoff * 2.0 ** min(retry - 1, 1000))
        return full / 2 + full / 2 * rng()
