"""What presets may be, and how one is told that they may not be so."""

import json
from typing import Any

import pytest

from imaging.presets import DEFAULT, Fit, Format, Preset, declared, version_of

PROMISED = [
    {"name": "resized_compressed", "width": 1024, "height": 1024},
    {"name": "thumbnail", "width": 256, "height": 256},
]


def with_one(**one: Any) -> str:
    preset = {"name": "one", "width": 10, "height": 10, **one}
    return json.dumps([*PROMISED, {k: v for k, v in preset.items() if v is not None}])


def test_the_defaults_can_be_declared() -> None:
    assert declared(json.dumps([p.model_dump(mode="json") for p in DEFAULT])) == DEFAULT


def test_what_is_not_said_is_sensible() -> None:
    one = declared(with_one())[-1]
    assert (one.fit, one.format, one.quality) == (Fit.INSIDE, Format.JPEG, 85)
    assert not one.is_slow


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not JSON"),
        ('{"name": "x"}', "must be a list"),
        ("[]", "there must be presets for resized_compressed and thumbnail"),
        (json.dumps(PROMISED[1:]), "there must be presets for resized_compressed,"),
        (json.dumps([*PROMISED, PROMISED[0]]), "several presets of the name resized_compressed"),
        (with_one(name="A b"), "preset A b: name: String should match"),
        (with_one(name="../x"), "preset ../x: name:"),
        (with_one(width=0), "preset one: width: Input should be greater than or equal to 1"),
        (with_one(height=None), "preset one: height: Field required"),
        (with_one(quality=101), "preset one: quality: Input should be less than or equal to 100"),
        (with_one(fit="zoom"), "preset one: fit: Input should be 'inside', 'cover' or 'attention'"),
        (with_one(format="bmp"), "preset one: format: Input should be 'jpeg', 'png', 'webp' or"),
        (with_one(size=3), "preset one: size: Extra inputs are not permitted"),
        (json.dumps([*PROMISED, 7]), "preset 3: Input should be a valid dictionary"),
        (json.dumps([{**PROMISED[0], "format": "avif"}, PROMISED[1]]), "not as AVIF"),
    ],
)
def test_a_mistake_is_told_in_plain_words(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        declared(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_definition_is_another_file() -> None:
    first, second = (Preset(name="one", width=10, height=10, quality=q) for q in (80, 81))
    assert first.file != second.file
    assert first.file == first.model_copy().file
    assert first.file.endswith(".jpeg")
    assert version_of([first, second]) != version_of([second, first])
