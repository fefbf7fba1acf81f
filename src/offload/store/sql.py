"""SQL lives in files beside its driver; this reads them by name."""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(package: str, **fragments: str) -> dict[str, str]:
    """Return every `-- name: x` block of the package's `.sql` files, `{fragment}`s filled in.

    Raises:
        ValueError: two blocks have the same name.
    """
    found: dict[str, str] = {}
    for path in sorted(files(package).iterdir(), key=lambda path: path.name):
        if not path.name.endswith(".sql"):
            continue
        _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"{path.name}: a second statement is named {name!r}")
            found[name] = _filled(text.strip(), fragments)
    return found


def scripts(package: str) -> list[tuple[int, str]]:
    """Return the numbered migration scripts of a package, in order."""
    paths = (path for path in files(package).iterdir() if path.name.endswith(".sql"))
    return sorted((int(path.name[:4]), path.read_text(encoding="utf-8")) for path in paths)


def _filled(text: str, fragments: dict[str, str]) -> str:
    for name, value in fragments.items():
        text = text.replace("{" + name + "}", value)
    return text
