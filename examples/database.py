"""A SQLite database, as the examples use it. Its calls block: endpoints use it in threads."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager


class Database:
    """A file, and the statements that make its tables."""

    def __init__(self, path: str, schema: str) -> None:
        """Touch nothing yet."""
        self._path = path
        self._schema = schema

    def create(self) -> None:
        """Make the tables that are not there."""
        with self.transaction() as db:
            db.executescript(self._schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection; commit at the end, or undo all if there was an error."""
        with closing(sqlite3.connect(self._path, timeout=10)) as db, db:
            db.row_factory = sqlite3.Row
            yield db
