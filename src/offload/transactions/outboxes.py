"""The outboxes of one queue, and which of them a connection goes through."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from offload.core.errors import ConfigurationError
from offload.core.job import Job, NewJob, stored
from offload.core.options import NAME, SECONDS, require
from offload.transactions.links import Link
from offload.transactions.outbox import OutboxTable
from offload.transactions.relay import Enqueue, Relay
from offload.transactions.sources import Source, source


@dataclass(frozen=True, slots=True, eq=False)
class _Outbox:
    database: object
    source: Source
    table: OutboxTable
    relay: Relay | None


class Outboxes:
    """What `queue.outbox` has registered; relays run from the first need until `stop`."""

    def __init__(self, enqueue: Enqueue) -> None:
        """Hand what is relayed to `enqueue`, from threads and loops of all kinds."""
        self._enqueue = enqueue
        self._all: list[_Outbox] = []

    def add(self, database: object, table: str, *, relay: bool, keep_markers: float) -> None:
        """Register a database; a second time changes nothing.

        Raises:
            ConfigurationError: it is no database, or the table is not that of the others.
        """
        require("table", table, NAME)
        require("keep_markers", keep_markers, SECONDS)
        outbox_table = OutboxTable(table)
        if any(each.table.name != table for each in self._all):
            raise ConfigurationError(
                f"table={table!r}: all outboxes of a queue have the same, here "
                f"{self._all[0].table.name!r}"
            )
        if any(each.database == database for each in self._all):
            return
        found = source(database)
        made = Relay(found, outbox_table, self._enqueue, keep_markers) if relay else None
        self._all.append(_Outbox(database, found, outbox_table, made))

    def start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Let relays run, those that need a loop on this one."""
        for outbox in self._all:
            if outbox.relay is not None:
                outbox.relay.start(loop)

    def stop(self) -> None:
        """End the relays, each after the look that is under way. May block for a moment."""
        relays = [outbox.relay for outbox in self._all if outbox.relay is not None]
        for relay in relays:
            relay.ask_to_stop()
        for relay in relays:
            relay.join()

    async def put(self, link: Link, jobs: Sequence[NewJob]) -> list[Job]:
        """Write jobs in the transaction of a connection; return what they will then be.

        Raises:
            ConfigurationError: nobody relays from there.
        """
        outbox = self._of(link)
        await outbox.table.put(link, jobs)
        if outbox.relay is not None:
            outbox.relay.start(_running_loop())
            link.call_after_commit(outbox.relay.wake)
        now = time.time_ns() // 1_000_000
        return [replace(stored(job, now), version=0) for job in jobs]

    def has(self, link: Link) -> bool:
        """Say whether a connection is to a database that is registered."""
        return any(outbox.source.is_of(link) for outbox in self._all)

    def _of(self, link: Link) -> _Outbox:
        for outbox in self._all:
            if outbox.source.is_of(link):
                return outbox
        raise ConfigurationError(
            "this connection does not reach the queue's own store, and nobody would relay from "
            "its database: register that with queue.outbox(engine) or queue.outbox(connect)"
        )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
