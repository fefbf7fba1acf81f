"""How the parts of the codec tell each other that a value cannot be carried.

`Signature` turns these into the public errors, adding the task and the argument: only there
are both known.
"""

from pydantic import ValidationError

SHOWN = 3
"""Errors listed of one value; a list of ten thousand wrong items needs no more to be understood."""


class Unfit(Exception):
    """A value cannot be carried: `reason` with the way out, `path` leads to it, as `["a"][0]`."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path

    def inside(self, step: str) -> "Unfit":
        """Return itself, seen from one container further out.

        The path is put together only while an error unwinds, so that carrying costs nothing.
        """
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Misfit(Unfit):
    """A value is not what the annotation says."""


def misfit(error: ValidationError) -> Misfit:
    """Return what Pydantic found, by path, without the values: they may be secret."""
    found = error.errors(include_url=False, include_context=False)
    lines = [
        f"{steps(detail['loc'])}: {detail['msg']} (got {type(detail['input']).__name__})"
        for detail in found[:SHOWN]
    ]
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN} more")
    path, _, reason = "; ".join(lines).partition(": ")
    return Misfit(reason, path)


def steps(location: tuple[int | str, ...]) -> str:
    """Return Pydantic's location as a path: `("items", 0)` is `["items"][0]`."""
    return "".join(f"[{step!r}]" for step in location)
