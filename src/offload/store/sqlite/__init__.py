"""Jobs in one SQLite file: no server, many processes, one machine."""

from offload.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
