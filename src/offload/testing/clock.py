"""A clock that stands still until a test moves it."""


class ManualClock:
    """See `offload.store.clock.Clock`; hand it to a store and move it between two steps."""

    def __init__(self, now: int = 1_700_000_000_000, ticks: float = 1000.0) -> None:
        """Start at a fixed instant (Unix milliseconds), some while after a boot (seconds)."""
        self._now = now
        self._ticks = ticks
        self._boots = 1

    def now(self) -> int:
        """Return the wall clock in Unix milliseconds."""
        return self._now

    def ticks(self) -> float:
        """Return the seconds since the last boot."""
        return self._ticks

    def boot(self) -> str:
        """Return the name of this boot."""
        return f"boot-{self._boots}"

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self._now += round(seconds * 1000)
        self._ticks += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or a person does; no time passes."""
        self._now += round(seconds * 1000)

    def reboot(self) -> None:
        """Restart the machine: ticks count anew, under the name of another boot."""
        self._boots += 1
        self._ticks = 0.0
