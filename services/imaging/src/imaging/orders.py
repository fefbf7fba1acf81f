"""What a decoder is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from imaging.presets import Preset

Report = Callable[[int], None]


class BadImage(Exception):
    """The file is at fault, so trying again cannot help.  ``code`` is for programs."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Limits:
    """How much picture is too much."""

    max_pixels: int = 50_000_000
    max_side: int = 16_384


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file's header claims of the picture as it is shown; no pixel has been decoded."""

    format: str
    width: int
    height: int
    pages: int


@dataclass(frozen=True, slots=True)
class Order:
    """A preset, and the file to write its output to."""

    preset: Preset
    target: Path


@dataclass(frozen=True, slots=True)
class Output:
    """The measures of one finished output."""

    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """The outputs by the names of their presets, and what else was found out.

    ``bytes`` are those of the original; ``thumbhash`` is in base64; ``taken_at`` has no time
    zone where the camera does not say in which it was.
    """

    original: Probe
    bytes: int
    outputs: dict[str, Output]
    colour: str
    thumbhash: str
    taken_at: datetime | None
