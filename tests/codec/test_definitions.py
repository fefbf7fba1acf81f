"""Functions whose annotations cannot be used, can only be used later, or sit elsewhere."""

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from offload.codec import Signature
from offload.core.errors import (
    TaskDefinitionError,
)

if TYPE_CHECKING:
    from fractions import Fraction


def plain(image: str, sizes: list[int], quality: int = 80) -> dict[str, str]:
    return {}


def untyped(a, b=2, *more, c=3, **others):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN201
    return a


def carried(function: Callable[..., object], *args: object, **kwargs: object) -> object:
    signature = Signature(function, "app.task")
    return signature.decode_arguments(signature.encode_arguments(args, kwargs))


def hidden_parameter(image: str, part: "Fraction") -> None: ...


def hidden_inside(parts: "list[Fraction]") -> None: ...


def hidden_result() -> "Fraction": ...  # type: ignore[empty-body]


def no_type(lock: "threading._RLock") -> None: ...


def broken(value: "int +") -> None: ...  # type: ignore[valid-type]  # noqa: F722


class Unfinished(BaseModel):
    part: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


def unfinished(value: Unfinished) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (hidden_parameter, ["'Fraction'", "'part'", "TYPE_CHECKING", "top of the module"]),
        (hidden_inside, ["'list[Fraction]'", "'parts'", "TYPE_CHECKING"]),
        (hidden_result, ["'Fraction'", "return value", "TYPE_CHECKING"]),
        (no_type, ["'threading._RLock'", "'lock'", "Use a type that Pydantic can carry"]),
        (broken, ["'int +'", "'value'"]),
        (unfinished, ["Unfinished", "'value'", "Nowhere"]),
    ],
)
def test_an_annotation_that_cannot_be_used_is_named(
    function: Callable[..., object], words: list[str]
) -> None:
    signature = Signature(function, "app.task")  # not before it is used
    uses: list[Callable[[], object]] = [
        lambda: signature.encode_arguments((1,), {}),
        lambda: signature.decode_arguments(b"[[],{}]"),
        lambda: signature.encode_result(1),
        lambda: signature.decode_result(b"1"),
    ]
    for use in uses:
        with pytest.raises(TaskDefinitionError) as raised:
            use()
        for word in ["'app.task'", *words]:
            assert word in str(raised.value)


def later(value: "Later") -> "Later":
    return value


class Later(BaseModel):
    a: int = 1


def test_a_type_may_be_defined_after_the_function() -> None:
    assert carried(later, Later(a=2)) == ((Later(a=2),), {})


class Caller:
    def __call__(self, size: int) -> int:
        return size

    def method(self, size: int) -> int:
        return size


def wrapped() -> Callable[..., object]:
    @functools.wraps(plain)
    def wrapper(*args: Any, **kwargs: Any) -> object:
        return plain(*args, **kwargs)

    return wrapper


def test_what_else_can_be_called() -> None:
    assert carried(Caller(), "5") == ((5,), {})
    assert carried(Caller().method, "5") == ((5,), {})
    assert carried(wrapped(), "a", ["5"]) == (("a", [5]), {})
    assert carried(functools.partial(untyped, 1), (2,)) == (((2,),), {})


async def asynchronous() -> set[int]:
    return {1}


def test_the_result_of_a_coroutine_function_is_what_it_returns() -> None:
    signature = Signature(asynchronous, "app.task")
    assert signature.decode_result(signature.encode_result({1})) == {1}
