"""The part of `Queue` that enqueues in transactions of the program's own databases."""

from offload.queue.base import Base
from offload.transactions.statements import OUTBOX

KEEP_MARKERS = 30 * 86_400.0
"""Seconds for which it is remembered that a block of `current_job.transaction` was done."""


class OutboxMethods(Base):
    """See `Queue`."""

    def outbox(
        self,
        database: object,
        *,
        table: str = OUTBOX,
        relay: bool = True,
        keep_markers: float = KEEP_MARKERS,
    ) -> None:
        """Let jobs be enqueued in transactions of a database of yours, with `connection=`.

        The job is written into a table of that database, in your transaction, and is moved into
        the queue once that has committed: at once where SQLAlchemy tells of a session's commit,
        else within half a second. This process does that from its first need on: when it enqueues
        so, works, or was opened (`aopen`, `offload.fastapi.lifespan`). Several may.

        Args:
            database: an Engine or AsyncEngine of SQLAlchemy, or a function that makes a connection
                of psycopg 3, sqlite3, aiosqlite or apsw, also one that has to be awaited.
            table: its name; queues that share a database need different ones.
            relay: whether this process moves jobs; if not, another must.
            keep_markers: seconds after which those of `current_job.transaction` are removed, by
                whoever relays. No job may run again that long after it ran first.

        Raises:
            ConfigurationError: it is no database, or the table has no proper name.
        """
        self._client.outboxes.add(database, table, relay=relay, keep_markers=keep_markers)
