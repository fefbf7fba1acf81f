"""Annotated values come back as what they were."""

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import Field

from offload.codec import decode_untyped
from tests.codec.comparing import typed
from tests.codec.examples import (
    WHEN,
    Blob,
    Colour,
    Derived,
    Level,
    Options,
    Photo,
    Point,
    Renamed,
    Size,
    Unit,
    signature_of,
)


def carried(annotation: object, value: object) -> object:
    signature = signature_of(annotation)
    (back,), _ = signature.decode_arguments(signature.encode_arguments((value,), {}))
    result = signature.decode_result(signature.encode_result(value))
    assert type(back) is type(result)
    assert back == result
    return back


COMES_BACK: list[tuple[object, object]] = [
    (int, 5),
    (float, 1e22),
    (str, 'a{"$'),
    (bool, True),
    (None, None),
    (int | str | None, "5"),
    (list[int], [1, 2]),
    (dict[str, int], {"$set": 1}),
    (dict[str, int], {"$value": 1}),
    (dict[str, list[int]], {"b": [], "$value": []}),
    (dict[str, bytes], {"b": b"\xff", "$value": b"\xff"}),
    (dict[int, str], {1: "a"}),
    (bytes, b"\xff\x00\xfb"),
    (list[bytes], [b"", b"\xff"]),
    (datetime, WHEN),
    (date, date(1, 1, 1)),
    (time, time(1, 2, 3, 4)),
    (timedelta, timedelta.min),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=5)),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (tuple[int, ...], (1, 2)),
    (tuple[()], ()),
    (tuple[int, str], (1, "a")),
    (dict[tuple[int, int], str], {(1, 2): "a"}),
    (deque[int], deque([1])),
    (Path, Path("a/b")),
    (IPv4Address, IPv4Address("127.0.0.1")),
    (re.Pattern[str], re.compile("a+")),
    (Literal["a", 1], 1),
    (Annotated[int, Field(gt=0)], 5),
    (Colour, Colour.RED),
    (Level, Level.LOW),
    (dict[Unit, Colour], {Unit.PIXEL: Colour.BLUE}),
    (Size, Size(1, 2)),
    (list[Size], [Size(1, 2)]),
    (Point, Point(1, 2.0)),
    (Options, {"quality": 1, "data": b"\xff"}),
    (Photo, Photo(path=Path("a"), taken=WHEN, size=Size(1), tags={"x"}, extra={"a": 1})),
    (Renamed, Renamed.model_validate({"fullName": "Ada"})),
    (Derived, Derived(b=5)),
    # What JSON cannot tell apart, tags can.
    (datetime | str, WHEN),
    (datetime | str, "2024-05-06"),
    (bytes | str, b"abc"),
    (Decimal | float, Decimal(1)),
    (date | datetime, WHEN),
    (set[int] | list[int], [1]),
    (set[int] | list[int], {1}),
    (Sequence[int], (1, 2)),
    (Sequence[int], [1, 2]),
    (Mapping[str, int], {"a": 1}),
    (dict[str, Any], {"a": WHEN, "b": (1, {2}), "c": b"\xff", "$set": {"$set": 1}}),
    (dict[str, Any], {"$dict": []}),
    (dict[Any, Any], {1: {True: None}}),
    (list[dict], [{1: (2,)}]),  # type: ignore[type-arg]
    (dict | None, {1: 2}),
    (Any, {1: (2,)}),
    (object, {1}),
    (dict, {1: 2}),
    (list, [(1,)]),
    (tuple, (1, [2])),
    (set, {1}),
    (Photo, Photo(path=Path("a"), taken=WHEN, extra={"when": WHEN, "t": (1,)})),
    (Blob, Blob(data=b"\xff\xfe", colour=Colour.BLUE)),
]


@pytest.mark.parametrize(("annotation", "value"), COMES_BACK, ids=repr)
def test_it_comes_back_as_what_it_was(annotation: object, value: object) -> None:
    back = carried(annotation, value)
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize(("annotation", "value"), COMES_BACK, ids=repr)
def test_a_reader_without_the_task_can_read_it(annotation: object, value: object) -> None:
    decode_untyped(signature_of(annotation).encode_arguments((value,), {}))


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["$set", "$value"])
floats = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes(timezones=st.none() | st.timezones())
sizes = st.builds(Size, st.integers(), st.integers())
HYPOTHESIS: list[tuple[object, st.SearchStrategy[Any]]] = [
    (
        list[int | float | str | bool | None],
        st.lists(st.integers() | floats | texts | st.booleans() | st.none()),
    ),
    (dict[str, dict[str, float]], st.dictionaries(texts, st.dictionaries(texts, floats))),
    (dict[str, Any], st.dictionaries(texts, st.integers() | st.binary() | st.dates() | texts)),
    (bytes | str, st.binary() | texts),
    (datetime | date | str, moments | st.dates() | texts),
    (dict[Size, set[UUID]] | list[Size], st.lists(sizes)),
    (
        tuple[Decimal, timedelta, time],
        st.tuples(st.decimals(allow_nan=False, allow_infinity=False), st.timedeltas(), st.times()),
    ),
    (Blob, st.builds(Blob, data=st.binary(), colour=st.sampled_from(Colour))),
]


@pytest.mark.parametrize(("annotation", "strategy"), HYPOTHESIS, ids=lambda value: str(value)[:40])
def test_any_value_of_a_type_comes_back(annotation: object, strategy: Any) -> None:
    signature = signature_of(annotation)

    @settings(deadline=None, max_examples=60)
    @given(strategy)
    def check(value: object) -> None:
        text = signature.encode_result(value)
        assert typed(signature.decode_result(text)) == typed(value)

    check()


def test_the_hour_that_a_change_of_clocks_repeats_is_carried() -> None:
    when = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    back = carried(datetime, when)
    assert isinstance(back, datetime)
    assert back.isoformat() == when.isoformat()


def test_a_subclass_of_a_scalar_becomes_what_is_annotated() -> None:
    class DriverUUID(UUID):
        pass

    assert type(carried(UUID, DriverUUID(int=1))) is UUID
    assert type(carried(int, Level.LOW)) is int
    assert type(carried(str, Unit.PIXEL)) is str


def test_pydantic_converts_what_it_would_convert_for_fastapi() -> None:
    assert carried(int, "5") == 5
    assert carried(datetime, "2024-05-06T07:08:09") == WHEN
    assert carried(Size, {"width": 3}) == Size(3)


def test_an_iterable_is_read_once_and_carried() -> None:
    signature = signature_of(Iterable[int])
    (back,), _ = signature.decode_arguments(signature.encode_arguments((iter([1, 2]),), {}))
    assert isinstance(back, Iterable)
    assert list(back) == [1, 2]


def test_plain_json_stays_plain() -> None:
    payload = signature_of(Photo).encode_result(Photo(path=Path("a"), taken=WHEN))
    assert json.loads(payload) == {
        "path": "a",
        "taken": "2024-05-06T07:08:09",
        "size": None,
        "tags": [],
        "extra": {},
    }
    assert signature_of(bytes).encode_result(b"\xfb\xff") == b'"-_8="'
