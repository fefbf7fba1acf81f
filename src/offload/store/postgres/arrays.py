"""Many rows in one statement: lists as PostgreSQL's array literals, which `unnest` takes apart.

The driver's own way to write a list asks for each item's type, which costs more than the rest
of a batch.
"""

from collections.abc import Iterable, Sequence


def texts(items: Iterable[str | None]) -> str:
    """Return a literal for `text[]`."""
    return "{" + ",".join(["NULL" if item is None else _quoted(item) for item in items]) + "}"


def numbers(items: Iterable[int | None]) -> str:
    """Return a literal for any array of integers."""
    return "{" + ",".join(["NULL" if item is None else str(int(item)) for item in items]) + "}"


def floats(items: Iterable[float | None]) -> str:
    """Return a literal for `float8[]`, every digit kept."""
    return "{" + ",".join(["NULL" if item is None else repr(float(item)) for item in items]) + "}"


def binary(items: Sequence[bytes | None]) -> str:
    """Return a literal for `bytea[]`."""
    return (
        "{" + ",".join(["NULL" if item is None else f'"\\\\x{item.hex()}"' for item in items]) + "}"
    )


def _quoted(item: str) -> str:
    if "\\" in item or '"' in item:
        item = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{item}"'
