"""How many jobs to claim for a slot: more while tasks prove short, one as soon as they do not."""

from offload.worker.runs import Line

PATIENCE = 0.05
"""Seconds that a claimed job may wait behind others of its line before it is given back."""
SHORT = 0.02
LONG = 0.035
MOST = 128


class Pace:
    """Doubles while lines end early, halves when they take long or have to be cut."""

    def __init__(self) -> None:
        """Know nothing: one job a slot."""
        self.ahead = 1

    def slow_down(self) -> None:
        """Halve: more was claimed than could start in time."""
        self.ahead = max(1, self.ahead // 2)

    def note(self, line: Line, now: float) -> None:
        """Learn from a line that has ended; `now` is of the clock of its beginning."""
        seconds = now - line.began
        if seconds > LONG:
            self.slow_down()
        elif seconds < SHORT and len(line.runs) >= self.ahead:
            self.ahead = min(MOST, self.ahead * 2)
