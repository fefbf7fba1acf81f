"""Whole calls: which argument goes where, limits, and damaged bytes."""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from offload.codec import Caps, Signature
from offload.core.errors import (
    ArgumentError,
    PayloadError,
    PayloadTooLarge,
)


def nothing() -> None: ...


def plain(image: str, sizes: list[int], quality: int = 80) -> dict[str, str]:
    return {}


def every_kind(
    first: int, /, second: str = "s", *numbers: int, key: bool, flag: bool = False, **texts: str
) -> None: ...


def only_position(first: int, /, **texts: str) -> None: ...


def untyped(a, b=2, *more, c=3, **others):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN201
    return a


def carried(function: Callable[..., object], *args: object, **kwargs: object) -> object:
    signature = Signature(function, "app.task")
    return signature.decode_arguments(signature.encode_arguments(args, kwargs))


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "payload"),
    [
        (nothing, (), {}, b"[[],{}]"),
        (plain, ("a", [1]), {}, b'[["a",[1]],{}]'),
        (plain, ("a",), {"sizes": [1]}, b'[["a"],{"sizes":[1]}]'),
        (plain, (), {"quality": 1, "sizes": [], "image": "ü"}, None),
        (every_kind, (1,), {"key": True}, b'[[1],{"key":true}]'),
        (every_kind, (1, "b", 3, 4), {"key": True, "x": "y"}, None),
        (every_kind, (1,), {"key": True, "first": "also a text"}, None),
        (untyped, ((1,), {2}, 3), {"c": b"x", 'q"uote': 1}, None),
    ],
)
def test_a_call_comes_back(
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    payload: bytes | None,
) -> None:
    assert carried(function, *args, **kwargs) == (args, kwargs)
    if payload is not None:
        assert Signature(function, "app.task").encode_arguments(args, kwargs) == payload


def test_arguments_behind_stars_are_converted_each() -> None:
    back = carried(every_kind, "1", "s", "3", 4, key=1, x="y")
    assert back == ((1, "s", 3, 4), {"key": True, "x": "y"})


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "words"),
    [
        (plain, ("a",), {}, ["missing", "'sizes'"]),
        (plain, ("a", [], 1, 2), {}, ["too many positional", "image, sizes, quality"]),
        (plain, ("a", []), {"colour": 1}, ["unexpected", "'colour'", "image, sizes, quality"]),
        (plain, ("a", []), {"image": 1}, ["multiple values", "'image'"]),
        (nothing, (1,), {}, ["too many", "no arguments"]),
        (every_kind, (1,), {}, ["missing", "'key'"]),
        (every_kind, (), {"first": "1", "key": True}, ["'first'"]),
        (every_kind, (1, "s", 3, "x"), {"key": True}, ["argument 'numbers'[1]", "valid integer"]),
        (every_kind, (1,), {"key": True, "x": 5}, ["argument 'x'", "valid string"]),
        (every_kind, (1,), {"key": True, "$x": "y"}, ["argument '$x'", "leading '$'"]),
        (plain, ("a", [1, "x"]), {}, ["argument 'sizes'[1]", "valid integer"]),
    ],
)
def test_a_call_that_does_not_fit_is_refused(
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    words: list[str],
) -> None:
    with pytest.raises(ArgumentError) as raised:
        Signature(function, "app.task").encode_arguments(args, kwargs)
    for word in ["'app.task'", *words]:
        assert word in str(raised.value)


names = st.sampled_from(["first", "second", "key", "flag", "a", "b", "c", "x"])


@settings(deadline=None)
@given(
    st.sampled_from([nothing, every_kind, only_position, untyped]),
    st.integers(0, 4),
    st.sets(names, max_size=3),
)
def test_the_short_cut_gives_the_answer_of_python(
    function: Callable[..., object], count: int, given_names: set[str]
) -> None:
    args, kwargs = ["1"] * count, dict.fromkeys(sorted(given_names), "1")
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        with pytest.raises(ArgumentError, match=r"app\.task"):
            Signature(function, "app.task").encode_arguments(args, kwargs)
    else:
        Signature(function, "app.task").encode_arguments(args, kwargs)


# -------------------------------------------------------------------------------- limits


def test_arguments_over_the_limit_name_the_largest() -> None:
    signature = Signature(plain, "app.task")
    with pytest.raises(PayloadTooLarge) as raised:
        signature.encode_arguments(("x" * 300_000, [1]), {})
    for word in ["'app.task'", "300,013", "262,144", "'image' with 300,002", "Pass a reference"]:
        assert word in str(raised.value)


def test_the_limit_itself_is_allowed() -> None:
    signature = Signature(plain, "app.task")
    payload = signature.encode_arguments(("a", [1]), {})
    exact = Signature(plain, "app.task", Caps(arguments=len(payload)))
    assert exact.encode_arguments(("a", [1]), {}) == payload
    smaller = Signature(plain, "app.task", Caps(arguments=len(payload) - 1))
    with pytest.raises(PayloadTooLarge, match=r"raise the cap: Queue\(max_arguments=…\)"):
        smaller.encode_arguments(("a", [1]), {})


def test_a_result_over_the_limit() -> None:
    signature = Signature(plain, "app.task")
    with pytest.raises(PayloadTooLarge, match=r"'app\.task': its result .* 1,048,576.*reference"):
        signature.encode_result({"a": "x" * 2**20})
    larger = Signature(plain, "app.task", Caps(result=2**21))
    assert len(larger.encode_result({"a": "x" * 2**20})) > 2**20


# --------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    "payload",
    [b"", b"[", b"\xff\xfe", b"null", b"[]", b"[[],[]]", b"[{},{}]", b"[[],{},1]", b"[[],{}] x"],
)
def test_damaged_arguments(payload: bytes) -> None:
    with pytest.raises(PayloadError, match=r"'app\.task': its stored arguments cannot be read: "):
        Signature(nothing, "app.task").decode_arguments(payload)


def test_a_damaged_result() -> None:
    with pytest.raises(PayloadError, match=r"'app\.task': its stored result cannot be read: EOF"):
        Signature(nothing, "app.task").decode_result(b"[1")


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_can_raise_anything_else(payload: bytes) -> None:
    signature = Signature(untyped, "app.task")
    for decode in (signature.decode_arguments, signature.decode_result):
        with contextlib.suppress(PayloadError):
            decode(payload)


@pytest.mark.parametrize("payload", [b'[[],{"x":1}]', b"[[1],{}]", b'[[],{"$dict":[]}]'])
def test_arguments_that_fit_the_function_no_more(payload: bytes) -> None:
    # Otherwise it would look like a TypeError that the task itself has raised.
    with pytest.raises(ArgumentError, match=r"app\.task"):
        Signature(nothing, "app.task").decode_arguments(payload)


def test_the_first_argument_may_come_later() -> None:
    def function(x: int, y: str, *, z: int = 0) -> None: ...

    signature = Signature(function, "t")
    assert signature.encode_arguments(("a",), {"z": 1}, fed=True) == b'[["a"],{"z":1}]'
    for args, kwargs in [((), {}), ((1,), {}), (("a", "b"), {}), (("a",), {"x": 1})]:
        with pytest.raises(ArgumentError):
            signature.encode_arguments(args, kwargs, fed=True)
    assert signature.arguments(("a",), {}, fed=True) == {"y": "a", "z": 0}


def test_arguments_are_told_apart_by_name() -> None:
    def function(x: int, *more: str, **named: Any) -> None: ...

    signature = Signature(function, "t")
    bound = signature.arguments((1, "a", "b"), {"n": (1,)})
    assert bound == {"x": 1, "more": ("a", "b"), "n": (1,)}
    texts = {name: signature.encode_argument(name, value) for name, value in bound.items()}
    assert texts == {"x": b"1", "more": b'"a","b"', "n": b'{"$tuple":[1]}'}
