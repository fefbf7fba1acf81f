"""Reads the texts that say what this project must do, and what is said to show it.

A seed is a web page that was saved as text: headings have lost their marks, code its fences and,
in 001, its indentation. So `promises.toml` names every block of code, by its first and its last
line or lines, and every heading, in prose or as a comment, that does not end with the page's own
mark, "¶". All else is a promise.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SEEDS = ("000", "001", "002", "004")

SENTENCE = re.compile(r"(?<=[.:]) (?=[A-Z`])")
COMMENT = re.compile(r'^\s*(#.*|"""(?!$).*)$|\s(#\s.*)$')
ORNAMENT = re.compile(r"[|\-\s]*")
RULER = "──"
IMPORT = re.compile(r"(from|import) ")


@dataclass(frozen=True)
class Code:
    """A block of code in a seed, and what runs it."""

    seed: str
    start: int
    end: int
    """The line after its last one."""
    file: str | None
    """Where it stands with only its import lines changed; None for what tests cut out of the page
    themselves, and for what does not run here as it is."""
    tests: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """Its lines, as the seed has them."""
        return text_of(self.seed).splitlines()[self.start : self.end]


@dataclass(frozen=True)
class Promise:
    """Something that a seed says, and what shows it, or how and why it is otherwise here."""

    seed: str
    quote: str
    tests: tuple[str, ...]
    difference: str | None


def text_of(seed: str) -> str:
    return (HERE / f"{seed}.txt").read_text(encoding="utf-8")


def table() -> dict[str, Any]:
    return tomllib.loads((HERE / "promises.toml").read_text(encoding="utf-8"))


def promises() -> list[Promise]:
    return [
        Promise(each["seed"], each["quote"].strip("\n"), _tests(each), each.get("difference"))
        for each in table()["promise"]
    ]


def codes(seed: str) -> list[Code]:
    """Return the blocks of a seed, which the table has in their order.

    Raises:
        ValueError: the seed has no such line after the block before.
    """
    lines = [line.strip() for line in text_of(seed).splitlines()]
    found: list[Code] = []
    for each in table()["code"]:
        if each["seed"] == seed:
            start, _ = _find(each["first"], lines, found[-1].end if found else 0)
            _, end = _find(each["last"], lines, start)
            found.append(Code(seed, start, end, each.get("file"), _tests(each)))
    return found


def _find(wanted: str, lines: list[str], start: int) -> tuple[int, int]:
    """Return where some lines stand, and the place after them."""
    wanted = wanted.strip("\n")
    size = wanted.count("\n") + 1
    for place in range(start, len(lines) - size + 1):
        if "\n".join(lines[place : place + size]) == wanted:
            return place, place + size
    raise ValueError(f"{wanted!r} is not in the seed after line {start}")


def said(seed: str) -> Iterator[tuple[int, int, str]]:
    """Yield each thing that a seed says: where it starts and ends in the text, and its words.

    These are the sentences of prose, the rows of tables, the comments and docstrings of code. What
    says nothing: headings, rulers between parts of code or table, and code itself.
    """
    code = {line for block in codes(seed) for line in range(block.start, block.end)}
    headings = set(table()["headings"][seed])
    offset = 0
    for number, line in enumerate(text_of(seed).splitlines(keepends=True)):
        bare = line.rstrip("\n")
        if number in code:
            pieces = [words for words in _comments(bare) if words not in headings]
        elif bare.endswith("¶") or bare in headings or ORNAMENT.fullmatch(bare):
            pieces = []
        else:
            pieces = SENTENCE.split(bare)
        for piece in pieces:
            start = offset + line.index(piece)
            yield start, start + len(piece), piece
        offset += len(line)


def _comments(line: str) -> list[str]:
    found = COMMENT.search(line)
    words = (found[1] or found[2]) if found else None
    return [words] if words and RULER not in words else []


def plain(lines: list[str]) -> list[str]:
    """Return code without what may differ: imports, names of the package, white space."""
    bare = [" ".join(line.split()).replace("taskito", "offload") for line in lines]
    return [line for line in bare if line and not IMPORT.match(line)]


def is_test(name: str) -> bool:
    """Whether there is a test such as `tests/a.py::test_b` or `tests/a.py::TestA::test_b`."""
    path, *names = name.split("::")
    if not (ROOT / path).is_file():
        return False
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for wanted in names:
        there = [each for each in body if getattr(each, "name", None) == wanted]
        if not there:
            return False
        body = getattr(there[0], "body", [])
    return names[-1].startswith("test_") if names else False


def _tests(entry: dict[str, Any]) -> tuple[str, ...]:
    named = entry.get("test", ())
    return (named,) if isinstance(named, str) else tuple(named)
