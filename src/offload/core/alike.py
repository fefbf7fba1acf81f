"""Many jobs that differ in nothing but their ids and arguments, held once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar, overload

from offload.core.job import Job, NewJob

Each = TypeVar("Each", NewJob, Job)


class Alike(Sequence[Each], Generic[Each]):
    """Requests or jobs, each made when it is looked at: a store can do without."""

    def __init__(self, pattern: Each, ids: Sequence[str], payloads: Sequence[bytes]) -> None:
        """Be like `pattern`, with these ids and payloads, of which there are as many."""
        self.pattern: Each = pattern
        self.ids = ids
        self.payloads = payloads

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Each: ...

    @overload
    def __getitem__(self, place: slice) -> "Alike[Each]": ...

    def __getitem__(self, place: int | slice) -> "Each | Alike[Each]":
        """Return one of them, or some."""
        if isinstance(place, slice):
            return Alike(self.pattern, self.ids[place], self.payloads[place])
        each: Each = replace(self.pattern, id=self.ids[place], payload=self.payloads[place])
        return each
