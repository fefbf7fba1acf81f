"""Jobs of which there is only one at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

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


@dataclass(frozen=True, slots=True)
class Unique:
    """How a task's jobs are unique: `@queue.task(unique=Unique(key="user"))`.

    Args:
        key: the name of an argument or several names, whose values, with the task's name, are
            the key; or a function that gets all arguments by name and returns the key itself.
            By default, the task's name and all arguments are the key. Keys are global to the
            store. An argument that is a set needs a function: its order is not fixed.
        scope: pending, running or window: for how long a job holds its key.
        window: seconds from the enqueue; for scope="window".
        on_conflict: return the holder, replace it if it is pending, or reject the call.
    """

    key: Callable[..., str] | str | Sequence[str] | None = None
    scope: str = Scope.RUNNING
    window: float | None = None
    on_conflict: str = OnConflict.RETURN

    def __post_init__(self) -> None:
        """Refuse what makes no sense where it is written.

        Raises:
            ConfigurationError: naming the option and what it may be.
        """
        for name, kind in (("scope", Scope), ("on_conflict", OnConflict)):
            if (value := getattr(self, name)) not in list(kind):
                raise ConfigurationError(f"{name}={value!r}: use one of {', '.join(kind)}")
        if self.window is not None and not _positive(self.window):
            raise ConfigurationError(f"window={self.window!r}: must be a number of seconds above 0")
        if not (self.key is None or callable(self.key) or self.names()):
            raise ConfigurationError(
                f"key={self.key!r}: must be a function of the task's arguments, "
                "the name of one, or a list of names"
            )
        self.held("")

    def names(self) -> tuple[str, ...]:
        """Return the arguments that the key is made of; none if it is made otherwise."""
        if isinstance(self.key, str):
            return (self.key,) if self.key else ()
        if isinstance(self.key, list | tuple) and all(isinstance(n, str) and n for n in self.key):
            return tuple(self.key)
        return ()

    def held(self, key: str) -> UniqueKey:
        """Return this uniqueness for one key."""
        return UniqueKey(key, Scope(self.scope), OnConflict(self.on_conflict), self.window)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf
