"""Keys that are made of a call's arguments: of unique jobs, and of lanes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import cast

from offload.codec import Signature
from offload.core.errors import ConfigurationError
from offload.core.lane import Lane
from offload.core.options import NAME
from offload.core.unique import Unique, UniqueKey

LONGEST = 100
"""Characters of a lane's name; a longer one is cut, and a digest tells it from others."""


class Call:
    """The arguments of one call; with `fed`, the first comes from the job before it."""

    def __init__(
        self,
        signature: Signature,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *,
        fed: bool,
    ) -> None:
        """Take arguments that can be encoded."""
        self.arguments = signature.arguments(args, kwargs, fed=fed)
        self._signature = signature
        self._fed = fed

    def told(self, what: str, key: Callable[..., object]) -> str:
        """Return what a function says when it gets all arguments by name.

        Raises:
            ConfigurationError: it is neither a text nor a whole number.
        """
        self._need_all(what)
        said = key(**self.arguments)
        text = said if isinstance(said, bool) or not isinstance(said, int) else str(said)
        if not NAME[1](text):
            raise ConfigurationError(f"{what}= gave {said!r}: it must be a text or a whole number")
        return cast("str", text)

    def text(self, what: str, name: str) -> bytes:
        """Return the value of an argument as text.

        Raises:
            ConfigurationError: it comes from the job before.
        """
        if name not in self.arguments:
            raise ConfigurationError(f"{what}={name!r}: {FED}")
        return self._signature.encode_argument(name, self.arguments[name])

    def digest(self, what: str, names: Iterable[str]) -> str:
        """Return a digest of some arguments, of all if none is named."""
        names = tuple(names)
        if not names:
            self._need_all(what)
        hashed = sha256()
        for name in names or sorted(self.arguments):
            hashed.update(b"%b=%b;" % (name.encode(), self.text(what, name)))
        return hashed.hexdigest()[:32]

    def _need_all(self, what: str) -> None:
        if self._fed:
            raise ConfigurationError(f"{what}=: {FED}")


FED = (
    "in a chain or chord the first argument comes from the job before, and is not known yet: "
    "make the key of others, give unique_key=, or use .si()"
)


def unique_key(task: str, unique: Unique, call: Call) -> UniqueKey:
    """Return the key of a call."""
    if callable(unique.key):
        return unique.held(call.told("unique: key", unique.key))
    return unique.held(f"{task}:{call.digest('unique', unique.names())}")


def lane(shared: Lane, key: Callable[..., object] | str, call: Call) -> Lane:
    """Return the lane of a call, one of those into which the task's limits are split."""
    what = "limit_key"
    part = call.told(what, key) if callable(key) else call.text(what, key).decode()
    name = f"{shared.name}:{part}"
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}…{sha256(name.encode()).hexdigest()[:16]}"
    return replace(shared, name=name)
