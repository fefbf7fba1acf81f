"""The Lua scripts by name, each with the files that it begins with."""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

WITH = "-- with:"
CONSTANTS = re.compile(r"^-- constants: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the digest by which the server knows it once it has seen it."""

    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """Return a script of the folder `lua`.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    text = _read(name)
    first, _, rest = text.partition("\n")
    before = "".join(map(_read, first.removeprefix(WITH).split()))
    whole = _filled(before + rest)
    # The server asks for this digest; nothing is kept secret or safe by it.
    return Script(whole, sha1(whole.encode(), usedforsecurity=False).hexdigest())


def _filled(text: str) -> str:
    """Put the constants in; as locals, each function would have to be told of each anew."""
    pairs = (pair.split("=") for line in CONSTANTS.findall(text) for pair in line.split())
    for name, value in pairs:
        text = re.sub(rf"\b{name}\b", value, text)
    return text


def _read(name: str) -> str:
    path = files("offload.store.redis.lua") / f"{name}.lua"
    return path.read_text(encoding="utf-8")
