"""What a schedule does with ticks that nobody was there to fire, and with jobs that run long."""

from enum import StrEnum


class CatchUp(StrEnum):
    """What becomes of the ticks that passed while no worker was up."""

    SKIP = "skip"
    """They are dropped."""
    ONE = "one"
    """The newest of them fires, the others are dropped. This is the default."""
    ALL = "all"
    """Each fires, oldest first; of more than 100 only the newest 100."""


class Overlap(StrEnum):
    """What becomes of a tick while the job of the tick before is not final yet."""

    ALLOW = "allow"
    """It fires: both jobs may run at once. This is the default."""
    SKIP = "skip"
    """It is dropped."""
