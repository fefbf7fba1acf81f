"""What becomes of the names that clients give their files: words to show, never paths."""

import re
import unicodedata
import uuid

_MAX_NAME = 255
_MAX_STEM = 80


def display_name(raw: str | None) -> str:
    """Keep what a person would recognise: the last segment, without control characters.

    Format characters go too (category Cf), because they can reverse the order in which
    the rest of the name is shown.
    """
    text = unicodedata.normalize("NFC", raw or "")
    last = re.split(r"[/\\]", text)[-1]
    visible = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip()
    return visible[:_MAX_NAME] or "image"


def stem_of(name: str) -> str:
    """Make the part of a download's address that names the picture.

    Letters and digits of any script stay; all else becomes a hyphen, so the address needs
    no quoting in a shell and cannot be read as another path.
    """
    stem = name.rpartition(".")[0] or name
    plain = "".join(c if c.isalnum() or c in "_-." else "-" for c in stem)
    tidy = re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", ".", plain)).strip("-.")
    return tidy[:_MAX_STEM] or "image"


def new_id() -> str:
    """Make an id that nobody can guess: whoever knows it can see the picture."""
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Say whether this can be the id of an upload at all."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None
