import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.examples.conftest import Example, Site

PHOTO = Path(__file__).parents[2] / "services/imaging/src/imaging/samples/dandelions.jpg"
GPS = 0x8825
ORIENTATION = 0x0112


def photo() -> bytes:
    """Return a photo as a telephone makes it: lying on its side, and with the place."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    out = io.BytesIO()
    with Image.open(PHOTO) as image:
        image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def uploaded(site: Site, name: str, content: bytes) -> dict[str, Any]:
    """Upload a file, and return what became of it."""
    answer = site.client.post("/images", files={"file": (name, content)})
    assert answer.status_code == 202
    found: dict[str, Any] = site.client.get(answer.json()["url"], params={"wait": 20}).json()
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let temporary files be here."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_photo_becomes_two_on_the_cdn(example: Example, folder: Path) -> None:
    with example("images") as site:
        found = uploaded(site, "../../etc/passwd", photo())
        assert (found["status"], set(found["urls"])) == ("succeeded", {"full", "thumb"})
        calls = site.told("cdn", 2)
        assert sorted(Path(call["path"]).name for call in calls) == ["full.jpg", "thumb.jpg"]
        assert "passwd" not in str(calls)
    assert list(folder.iterdir()) == []


def test_versions_are_upright_small_and_without_metadata(example: Example, folder: Path) -> None:
    (folder / "original").write_bytes(photo())
    with example("images") as site:
        full, thumb = site.module.make_versions(folder)
    with Image.open(full) as image:
        assert image.size == (1125, 2000)
        assert dict(image.getexif()) == {}
    with Image.open(thumb) as image:
        assert image.size == (169, 300)


def test_what_is_no_photo_fails_and_leaves_nothing(example: Example, folder: Path) -> None:
    with example("images") as site:
        found = uploaded(site, "a.jpg", b"#!/bin/sh")
        assert (found["status"], found["error"]) == ("failed", "The image could not be processed")
        assert site.told("cdn", 0) == []
    assert list(folder.iterdir()) == []


def test_a_file_that_is_too_long_is_refused(
    example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with example("images") as site:
        monkeypatch.setattr(site.module, "MOST_BYTES", 1000)
        answer = site.client.post("/images", files={"file": ("a.jpg", photo())})
        assert answer.status_code == 413
        assert site.client.get("/images/nope").status_code == 404
    assert list(folder.iterdir()) == []
