"""Files made by hand to break a decoder, each with what must become of it."""

from collections.abc import Callable
from dataclasses import dataclass

from services.imaging.tests.fuzz import jpegs, others, pngs


@dataclass(frozen=True)
class Crafted:
    """One file: how it is made, and the outcome that is right."""

    name: str
    make: Callable[[], bytes]
    outcome: str


CRAFTED = [
    Crafted(name, make, outcome)
    for kind in (pngs, jpegs, others)
    for name, (make, outcome) in kind.CRAFTED.items()
]
