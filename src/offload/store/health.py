"""What can be said of a store's health, for whoever runs it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    NOTE = "note"
    """Nothing is broken, but somebody may want to know."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found and, unless it is fine, the way out."""

    check: str
    level: Level
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(check, Level.OK, found)


def note(check: str, found: str, remedy: str) -> Finding:
    """Return one that somebody may want to know of."""
    return Finding(check, Level.NOTE, found, remedy)


def wrong(check: str, found: str, remedy: str) -> Finding:
    """Return one that must be dealt with."""
    return Finding(check, Level.WRONG, found, remedy)
