"""How the commands show things: tables for people, one JSON document for programs."""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from offload.core.errors import OffloadError

GAP = 2
"""Columns between two columns of a table."""
NARROW = 8
"""No column is cut below this."""
STYLES = {
    "pending": "yellow",
    "running": "cyan",
    "complete": "green",
    "failed": "red",
    "dead": "red",
    "cancelled": "dim",
    "ok": "green",
    "note": "yellow",
    "wrong": "bold red",
    "paused": "yellow",
    "silent": "red",
    "alive": "green",
}
UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


class Failed(OffloadError):
    """The command could not do what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; one with a `cut` gives way where the terminal is too narrow."""

    title: str
    cut: str = ""
    """left or right: which end is left out. Of a task's name, the end tells more."""
    is_number: bool = False
    is_state: bool = False


def console() -> Console:
    """Return the console; whoever reads from a pipe wants whole lines."""
    is_bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if is_bounded else 10_000, highlight=False, markup=False)


def emit(document: object) -> None:
    """Print the one JSON document of a command."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    """Print a line for people."""
    console().print(plain(text), soft_wrap=True)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns, each on one line."""
    target = console()
    cells = [[plain(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = _fitted(columns, cells, target.width)
    grid = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column.title, justify="right" if column.is_number else "left", no_wrap=True)
    for row in cells:
        grid.add_row(*map(_shown, row, widths, columns))
    target.print(grid)


def facts(pairs: Mapping[str, str | None]) -> None:
    """Print names and values, leaving out what there is none of."""
    target = console()
    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None:
            style = STYLES.get(value, "") if name == "status" else ""
            grid.add_row(name, Text(plain(value), style))
    target.print(grid)


def heading(text: str) -> None:
    """Print what the lines below are."""
    target = console()
    target.print()
    target.print(Text(text, "bold underline"))


def block(text: str) -> None:
    """Print lines as they are, such as a traceback."""
    console().print(Text(plain(text)), soft_wrap=True)


def plain(text: str) -> str:
    """Escape what would steer a terminal: names and errors may come from anywhere."""
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return "    " if character == "\t" else character.encode("unicode_escape").decode()


def ago(instant: int | None) -> str:
    """Say when something was, or will be, in words."""
    if instant is None:
        return "never"
    seconds = round(time.time() - instant / 1000)
    if seconds == 0:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Say how long something is, in its largest unit."""
    for unit, length in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{seconds * 1000:.0f} ms"


def ask(question: str, *, yes: bool) -> None:
    """Return if the answer is yes.

    Asked on stderr, so that stdout stays one document.

    Raises:
        Failed: it is anything else, or nobody is there to answer.
    """
    if yes:
        return
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        typer.echo(err=True)  # nobody has ended the line
    if answer.strip().lower() not in {"y", "yes"}:
        raise Failed("nothing was done: answer y, or say --yes")


def _fitted(columns: Sequence[Column], rows: Iterable[Sequence[str]], room: int) -> list[int]:
    """Return the widths: what gives way does so from the widest down."""
    lines = [[column.title for column in columns], *rows]
    widths = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
    excess = sum(widths) + GAP * (len(columns) - 1) - room
    flexible = [index for index, column in enumerate(columns) if column.cut]
    while excess > 0 and flexible:
        widest = max(flexible, key=lambda index: widths[index])
        if widths[widest] <= NARROW:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _shown(cell: str, width: int, column: Column) -> Text:
    return Text(_cut(cell, width, column.cut), STYLES.get(cell, "") if column.is_state else "")


def _cut(text: str, width: int, end: str) -> str:
    if cell_len(text) <= width or not end:
        return text
    while cell_len(text) >= width:
        text = text[1:] if end == "left" else text[:-1]
    return f"…{text}" if end == "left" else f"{text}…"
