"""Values without a run-time guard are otherwise what they say they are."""

from dataclasses import dataclass, field, fields, replace

import pytest

from offload.core.job import Job, NewJob
from offload.core.light import light
from offload.core.records import Finish


@light
@dataclass(frozen=True, slots=True)
class Light:
    """A value with all kinds of fields."""

    name: str
    count: int = 1
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("a negative count")


def test_it_is_made_compared_and_copied_like_any_dataclass() -> None:
    one = Light("a", words=["x"])
    assert one == Light("a", 1, ["x"]) != Light("a")
    assert replace(one, count=2) == Light("a", 2, ["x"])
    assert repr(one) == "Light(name='a', count=1, words=['x'])"
    assert [each.name for each in fields(one)] == ["name", "count", "words"]
    assert Light("b").words is not Light("b").words


def test_it_refuses_what_it_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Light("a", -1)
    with pytest.raises(TypeError, match="missing 1 required"):
        Light()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword"):
        Light("a", size=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", [Job, NewJob, Finish])
def test_type_checkers_still_keep_it_frozen(cls: type) -> None:
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(cls, "__dict__") or "__slots__" in vars(cls)
