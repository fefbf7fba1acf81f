"""Many rows in one statement: a list a column, which `unnest` takes apart; one row without lists.

Lists are written as PostgreSQL's array literals. The driver's own way asks for each item's type,
which costs more than the rest of a batch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def texts(items: Iterable[str | None]) -> str:
    """Return a literal for `text[]`."""
    return "{" + ",".join(["NULL" if item is None else _quoted(item) for item in items]) + "}"


def numbers(items: Iterable[int | None]) -> str:
    """Return a literal for any array of integers."""
    return "{" + ",".join(["NULL" if item is None else str(int(item)) for item in items]) + "}"


def floats(items: Iterable[float | None]) -> str:
    """Return a literal for `float8[]`, every digit kept."""
    return "{" + ",".join(["NULL" if item is None else repr(float(item)) for item in items]) + "}"


def binary(items: Iterable[bytes | None]) -> str:
    """Return a literal for `bytea[]`."""
    cells = ["NULL" if item is None else f'"\\\\x{item.hex()}"' for item in items]
    return "{" + ",".join(cells) + "}"


def _quoted(item: str) -> str:
    if "\\" in item or '"' in item:
        item = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{item}"'


LITERALS: dict[str, Callable[[Iterable[Any]], str]] = {
    "text": texts,
    "int": numbers,
    "bigint": numbers,
    "float8": floats,
    "bytea": binary,
}


@dataclass(frozen=True)
class Asked(Generic[T]):
    """Rows that a statement gets as its parameters: for each column its type, and its value."""

    columns: Mapping[str, tuple[str, Callable[[T], object]]]

    def many(self) -> str:
        """Return the SQL for any number of rows, each with its `place`."""
        lists = ", ".join(f"%({name})s::{kind}[]" for name, (kind, _) in self.columns.items())
        return f"unnest({lists}) WITH ORDINALITY AS asked ({self._names})"

    def one(self) -> str:
        """Return the SQL for one row: `unnest` would take longer than all the rest."""
        cells = ", ".join(f"%({name})s::{kind}" for name, (kind, _) in self.columns.items())
        return f"(VALUES ({cells}, 1)) AS asked ({self._names})"

    @property
    def _names(self) -> str:
        return ", ".join([*self.columns, "place"])

    def values(self, rows: Sequence[T]) -> dict[str, object]:
        """Return the parameters for these rows; of `one` for one row, else of `many`."""
        if len(rows) == 1:
            return {name: value(rows[0]) for name, (_, value) in self.columns.items()}
        return {
            name: LITERALS[kind](map(value, rows)) for name, (kind, value) in self.columns.items()
        }
