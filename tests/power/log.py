"""What a disk was told, in order, and what the program was told meanwhile."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Create:
    """A name came to be; `file` numbers what it names, for a name may come back as another."""

    name: str
    file: int


@dataclass(frozen=True, slots=True)
class Delete:
    """A name went; with `synced`, its folder was synced as well."""

    name: str
    synced: bool


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes were handed over; the disk may take its time."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """The file was cut to `size` bytes."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """All that was written to the file is on the disk; with `folder`, all names are too."""

    file: int
    folder: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """Operation `number` was handed to the store: from here on its effect may be there."""

    number: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Operation `number` was answered: from here on its effect must be there."""

    number: int


Change = Write | Truncate
Event = Create | Delete | Write | Truncate | Sync | Issued | Acknowledged

Records = tuple[str, ...]
"""All that can be read from a store, a line a record, sorted."""


@dataclass(frozen=True, slots=True)
class Log:
    """One history: its events, and what a store holds after each of its operations."""

    events: tuple[Event, ...]
    states: tuple[Records, ...]
    """`states[n]` holds after operation n; `states[0]` is the empty store."""
    answers: tuple[str, ...]
    """What each operation was answered, after its name; `answers[0]` is of none."""
    now: int
    """The wall clock at the end (Unix milliseconds)."""

    def bounds(self, cut: int) -> tuple[int, int]:
        """Return the newest operation that was answered before `cut`, and the newest issued."""
        answered = issued = 0
        for event in self.events[:cut]:
            match event:
                case Issued(number):
                    issued = number
                case Acknowledged(number):
                    answered = number
        return answered, issued
