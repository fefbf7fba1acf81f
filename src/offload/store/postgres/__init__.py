"""Jobs in a PostgreSQL database that many machines share."""

from offload.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
