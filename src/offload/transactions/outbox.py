"""Jobs in a program's database, on their way to the queue."""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from offload.core.errors import ConfigurationError
from offload.core.job import NewJob
from offload.core.unique import OnConflict
from offload.transactions.links import Link
from offload.transactions.rows import text_of
from offload.transactions.statements import create, create_within, statements

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")


@dataclass(frozen=True, slots=True)
class OutRow:
    """A job that waits; `created_at` is in Unix nanoseconds."""

    created_at: int
    id: str
    payload: str
    tries: int


class OutboxTable:
    """The statements on one outbox."""

    def __init__(self, name: str) -> None:
        """Use the table `name`.

        Raises:
            ConfigurationError: it is no name, or one that would have to be quoted.
        """
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"table={name!r}: must be a name, or schema.name")
        self.name = name
        self.is_there = False
        """Whether it is known to be there, whatever becomes of the caller's transaction."""

    async def create(self, link: Link) -> None:
        """Make the table if it is missing."""
        await create(link, "create_outbox", self.name, self.name)

    async def put(self, link: Link, jobs: Sequence[NewJob]) -> None:
        """Write jobs in the caller's transaction.

        Raises:
            ConfigurationError: a job is to be refused when its key is held.
        """
        _check_unique(jobs)
        if not self.is_there:
            await create_within(link, "create_outbox", self.name, self.name)
        rows = [
            {"created_at": _instants.next(), "id": job.id, "payload": text_of(job)} for job in jobs
        ]
        if rows:
            await link.each(self._sql(link)["put"], rows)

    async def due(self, link: Link, now: int, limit: int) -> list[OutRow]:
        """Return the oldest rows that wait for nothing."""
        rows = await link.fetch(self._sql(link)["due"], {"now": now, "most": limit})
        return [OutRow(*row) for row in rows]

    async def remove(self, link: Link, rows: Sequence[OutRow]) -> None:
        """Delete rows; those that are gone already are no matter."""
        keys = [{"created_at": row.created_at, "id": row.id} for row in rows]
        if keys:
            await link.each(self._sql(link)["remove"], keys)

    async def defer(self, link: Link, row: OutRow, due_at: int, error: str) -> None:
        """Note that the queue has refused a row, and when to ask again."""
        values = {"created_at": row.created_at, "id": row.id, "due_at": due_at, "error": error}
        await link.fetch(self._sql(link)["defer"], values)

    def _sql(self, link: Link) -> dict[str, str]:
        return statements(link.dialect, self.name)


class _Rising:
    """Instants in Unix nanoseconds, each later than the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return self._last


_instants = _Rising()


def _check_unique(jobs: Sequence[NewJob]) -> None:
    for job in jobs:
        if job.unique is not None and job.unique.on_conflict is OnConflict.REJECT:
            raise ConfigurationError(
                f"{job.task}: on_conflict='reject' cannot be told in time through an outbox, "
                "which the queue sees after the commit: use 'return' or 'replace'"
            )
