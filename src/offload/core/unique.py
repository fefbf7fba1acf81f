"""Jobs of which there is only one at a time."""

from dataclasses import dataclass
from enum import StrEnum

from offload.core.errors import ConfigurationError


class Scope(StrEnum):
    """For how long a job holds its unique key."""

    PENDING = "pending"
    """Until it is first claimed: while one runs, one more may wait."""
    RUNNING = "running"
    """Until it has ended, retries included."""
    WINDOW = "window"
    """For a number of seconds after it was enqueued, whatever becomes of it."""


class OnConflict(StrEnum):
    """What enqueuing a job does whose key is held."""

    RETURN = "return"
    """The holder is returned, nothing is stored."""
    REPLACE = "replace"
    """A pending holder is cancelled and the new job takes its place; any other is returned."""
    REJECT = "reject"
    """It raises `DuplicateJob`, and nothing of the batch is stored."""


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A key that one job of the whole store can hold; `window` is in seconds."""

    key: str
    scope: Scope = Scope.RUNNING
    on_conflict: OnConflict = OnConflict.RETURN
    window: float | None = None

    def __post_init__(self) -> None:
        """Refuse a window without its scope, and the scope without its window.

        Raises:
            ConfigurationError: one is given without the other.
        """
        if (self.scope is Scope.WINDOW) != (self.window is not None):
            raise ConfigurationError(
                f"scope={str(self.scope)!r} with window={self.window!r}: "
                "a window is for scope='window', which needs one"
            )
