"""What cannot travel without an annotation, and what cannot have been written."""

import contextlib
import json
import math
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from enum import Enum
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel

from offload.codec import Signature, decode_untyped
from offload.core.errors import PayloadError


def anything(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - that is the point
    return value


SIGNATURE = Signature(anything, "app.anything")


def carried(value: object) -> object:
    (back,), kwargs = SIGNATURE.decode_arguments(SIGNATURE.encode_arguments((value,), {}))
    assert kwargs == {}
    return back


class Photo(BaseModel):
    path: str


@dataclass
class Size:
    width: int


class Colour(Enum):
    RED = "red"


class Weird:
    pass


Point = namedtuple("Point", "x y")  # noqa: PYI024 - as users write them


def nested(make: Callable[[object], object], levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = make(value)
    return value


def itself() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Photo(path="a"), ["Photo", "annotate the parameter"]),
        (Size(1), ["Size", "annotate the parameter"]),
        (Colour.RED, ["Colour", "annotate the parameter"]),
        ({"a": [0, Photo(path="a")]}, ["['a'][1]", "Photo", "annotate the parameter"]),
        ((Weird(),), ["[0]", "Weird", "cannot be carried", "pass what it is made from"]),
        (Weird, ["type", "cannot be carried"]),
        (Point(1, 2), ["Point is a kind of tuple", "convert it to tuple"]),
        (OrderedDict(a=1), ["OrderedDict is a kind of dict", "convert it to dict"]),
        (bytearray(b"x"), ["bytearray", "cannot be carried"]),
        ({"x": math.nan}, ["['x']", "nan", "None"]),
        ([math.inf], ["[0]", "inf", "None"]),
        ({-math.inf: 1}, ["[-inf]", "-inf is not a number"]),
        ([Decimal("NaN")], ["[0]", "Decimal NaN"]),
        ([Decimal("sNaN")], ["[0]", "Decimal sNaN"]),
        (["ok", "\ud800"], ["[1]", "lone surrogate", "os.fsencode"]),
        ({"\udcff": 1}, ["lone surrogate"]),
        ([10**5000], ["[0]", "integer", "digits", "bytes"]),
        (time(1, tzinfo=ZoneInfo("Europe/Berlin")), ["pass a datetime"]),
        (nested(lambda inner: [inner], 61), ["nested more than 60 levels"]),
        (nested(lambda inner: {1: inner}, 100_000), ["nested more than 60 levels"]),
        (itself(), ["contains itself"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_refused_is_named_with_the_way_out(value: object, words: list[str]) -> None:
    with pytest.raises(PayloadError) as raised:
        SIGNATURE.encode_arguments((value,), {})
    for word in ["'app.anything'", "argument 'value'", *words]:
        assert word in str(raised.value)
    with pytest.raises(PayloadError, match=r"'app\.anything': result"):
        SIGNATURE.encode_result(value)


@pytest.mark.parametrize(
    "make",
    [lambda inner: [inner], lambda inner: (inner,), lambda inner: {"k": inner}, lambda i: {1: i}],
    ids=["list", "tuple", "dict", "dict of integers"],
)
def test_the_deepest_value_that_is_accepted_can_be_read(
    make: Callable[[object], object],
) -> None:
    value = nested(make, 60)
    assert carried(value) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"$nothing": 1}',
        '{"$import": "os.system"}',
        '{"$tuple": "abc"}',
        '{"$set": [[1]]}',
        '{"$dict": [[[1], 2]]}',
        '{"$dict": [1]}',
        '{"$bytes": "***"}',
        '{"$bytes": 5}',
        '{"$datetime": "yesterday"}',
        '{"$date": 1}',
        '{"$timedelta": [1e300, 0, 0]}',
        '{"$timedelta": [999999999999, 0, 0]}',
        '{"$decimal": "many"}',
        '{"$decimal": "NaN"}',
        '{"$uuid": "1"}',
        '{"$uuid": 1}',
        "1e999",
        "NaN",
        "1" * 5000,
        "[" * 300 + "]" * 300,
        '"\\ud800"',
    ],
)
def test_what_cannot_have_been_written_is_an_error_of_the_payload(text: str) -> None:
    with pytest.raises(PayloadError, match=r"app\.anything"):
        SIGNATURE.decode_arguments(f"[[{text}],{{}}]".encode())
    with pytest.raises(PayloadError, match=r"app\.anything"):
        SIGNATURE.decode_result(text.encode())
    with pytest.raises(PayloadError, match="cannot be read"):
        decode_untyped(text.encode())


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    [
                        "$tuple",
                        "$set",
                        "$dict",
                        "$uuid",
                        "$date",
                        "$bytes",
                        "$value",
                        "$decimal",
                        "$timedelta",
                        "$x",
                        "a",
                    ]
                ),
                inner,
                max_size=2,
            )
            | st.lists(inner, max_size=3)
        ),
    )
)
def test_reading_any_json_gives_a_value_or_a_payload_error(raw: object) -> None:
    with contextlib.suppress(PayloadError):
        decode_untyped(json.dumps(raw).encode())


def test_uuids_of_a_subclass_are_not_quietly_changed() -> None:
    class DriverUUID(UUID):
        pass

    with pytest.raises(PayloadError, match="DriverUUID is a kind of UUID"):
        carried(DriverUUID(str(uuid4())))
