"""What is known of a picture once it is processed, and where all of that is stored.

Everything is found by the SHA-256 of the original's bytes: the same photograph, sent twice, is
stored once and processed once.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from imaging.orders import Output, Rendered
from imaging.presets import Preset, version_of


class Variant(BaseModel):
    """One output: its measures, and the key of its bytes."""

    key: str
    format: str
    width: int
    height: int
    bytes: int


class Manifest(BaseModel):
    """A processed picture: the original, as it is shown, and its outputs by name.

    ``key`` is where this manifest lies; ``thumbhash`` is base64, ``colour`` is ``#rrggbb``.
    """

    key: str
    sha256: str
    format: str
    width: int
    height: int
    bytes: int
    colour: str
    thumbhash: str
    taken_at: datetime | None
    variants: dict[str, Variant]

    def lacks(self, presets: Sequence[Preset]) -> list[Preset]:
        """Name those of the presets of which there is no output here."""
        return [preset for preset in presets if preset.name not in self.variants]

    def with_variants(self, more: dict[str, Variant]) -> "Manifest":
        """Add outputs that were made later."""
        return self.model_copy(update={"variants": {**self.variants, **more}})


def original_key(sha256: str) -> str:
    """Say where an original lies."""
    return f"originals/{sha256[:2]}/{sha256}"


def outputs_prefix(sha256: str) -> str:
    """Say below what all that was made of an original lies."""
    return f"outputs/{sha256[:2]}/{sha256}"


def output_key(sha256: str, preset: Preset) -> str:
    """Say where an output lies; a preset that is defined anew has another place."""
    return f"{outputs_prefix(sha256)}/{preset.file}"


def manifest_key(sha256: str, presets: Sequence[Preset]) -> str:
    """Say where the manifest lies of what these presets make of an original."""
    return f"{outputs_prefix(sha256)}/manifest-v{version_of(presets)}.json"


def variants_of(
    sha256: str, presets: Sequence[Preset], outputs: dict[str, Output]
) -> dict[str, Variant]:
    """Describe finished outputs."""
    return {
        preset.name: Variant(
            key=output_key(sha256, preset),
            format=preset.format,
            width=outputs[preset.name].width,
            height=outputs[preset.name].height,
            bytes=outputs[preset.name].bytes,
        )
        for preset in presets
    }


def described(key: str, sha256: str, rendered: Rendered) -> Manifest:
    """Make the manifest of a picture, with no outputs yet."""
    original = rendered.original
    return Manifest(
        key=key,
        sha256=sha256,
        format=original.format,
        width=original.width,
        height=original.height,
        bytes=rendered.bytes,
        colour=rendered.colour,
        thumbhash=rendered.thumbhash,
        taken_at=rendered.taken_at,
        variants={},
    )
