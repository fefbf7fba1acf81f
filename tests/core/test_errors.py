"""One tree of errors, as it is drawn."""

import inspect
import re

import pytest

from offload.core import errors
from offload.core.errors import JobDead, JobError, OffloadError

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and value.__module__ == errors.__name__
}
LINE = re.compile(r"^( *)[*x+-] (\w+(?:, \w+)*)", re.MULTILINE)


def drawn() -> dict[str, str]:
    """Each error of the drawing with the one that it is drawn under."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for indent, names in LINE.findall(errors.__doc__ or ""):
        above = [(depth, name) for depth, name in above if depth < len(indent)]
        for name in names.split(", "):
            parents[name] = above[-1][1] if above else "Exception"
        above.append((len(indent), names))
    return parents


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items()}


@pytest.mark.parametrize("name", CLASSES)
def test_one_except_catches_all(name: str) -> None:
    assert issubclass(CLASSES[name], OffloadError)
    assert CLASSES[name].__doc__


def test_a_job_error_carries_what_a_handler_may_want() -> None:
    error = JobDead("j1", "Boom: it broke", "job j1 is dead: Boom: it broke")
    assert isinstance(error, JobError)
    assert (error.job_id, error.reason) == ("j1", "Boom: it broke")
    assert str(error) == "job j1 is dead: Boom: it broke"
