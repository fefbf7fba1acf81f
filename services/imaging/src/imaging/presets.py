"""What is made of each picture: named presets, declared in the settings."""

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MOST_SIDE = 8192
_DIGEST = 8


class Fit(StrEnum):
    """How a picture gets into the box of a preset; it is never enlarged."""

    INSIDE = "inside"
    """All of it, as large as the box allows."""
    COVER = "cover"
    """The middle of it, in the shape of the box."""
    ATTENTION = "attention"
    """The part that draws the eye, in the shape of the box."""


class Format(StrEnum):
    """What a picture can be written as."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def media_type(self) -> str:
        """Name it as HTTP does."""
        return f"image/{self}"


class Preset(BaseModel):
    """One output: its name, its box in pixels, and how it is written.

    ``quality`` is the encoder's own scale, 1 to 100; PNG has none and ignores it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Part of addresses and of storage keys.
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    width: int = Field(ge=1, le=MOST_SIDE)
    height: int = Field(ge=1, le=MOST_SIDE)
    fit: Fit = Fit.INSIDE
    format: Format = Format.JPEG
    quality: int = Field(default=85, ge=1, le=100)

    @property
    def is_slow(self) -> bool:
        """Whether it takes so much longer than others that nobody must wait for it."""
        return self.format is Format.AVIF

    @property
    def file(self) -> str:
        """Name its file; another definition under the same name has another file."""
        return f"{self.name}-v{version_of([self])}.{self.format}"


DEFAULT = (
    Preset(name="resized_compressed", width=1024, height=1024),
    Preset(name="thumbnail", width=256, height=256),
    Preset(name="square", width=400, height=400, fit=Fit.ATTENTION, format=Format.WEBP, quality=80),
    Preset(name="avif", width=1024, height=1024, format=Format.AVIF, quality=65),
)
VARIANTS = ("resized_compressed", "thumbnail")
"""What clients of such services have always been given: every declaration must have them."""


def version_of(presets: Iterable[Preset]) -> str:
    """Digest definitions, so that what was made by others is not taken for theirs."""
    defined = json.dumps([preset.model_dump(mode="json") for preset in presets])
    return hashlib.sha256(defined.encode()).hexdigest()[:_DIGEST]


def declared(text: str) -> tuple[Preset, ...]:
    """Read a declaration, a JSON list of presets.

    Raises ``ValueError`` that says in plain words what is wrong, and with which of them.
    """
    try:
        listed = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(listed, list):  # Pydantic takes no other error than this for a fault
        raise ValueError(  # noqa: TRY004 -- as above
            'must be a list, such as [{"name": "small", "width": 64, "height": 64}]'
        )
    presets = tuple(_preset(number, one) for number, one in enumerate(listed, 1))
    names = [preset.name for preset in presets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"there are several presets of the name {', '.join(twice)}")
    promised = {preset.name for preset in presets if not preset.is_slow}
    if missing := [name for name in VARIANTS if name not in promised]:
        raise ValueError(f"there must be presets for {' and '.join(missing)}, not as AVIF")
    return presets


def _preset(number: int, one: object) -> Preset:
    try:
        return Preset.model_validate(one)
    except ValidationError as error:
        name = one.get("name") if isinstance(one, dict) else None
        faults = (
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault["loc"] else fault["msg"]
            for fault in error.errors()
        )
        raise ValueError(f"preset {name or number}: {'; '.join(faults)}") from None
