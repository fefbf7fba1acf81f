"""What a dashboard or an HTTP answer shows of a value."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel

from offload.codec import decode_untyped, to_json
from offload.core.errors import PayloadError


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Blob(BaseModel):
    data: bytes
    colour: Colour = Colour.RED


@dataclass
class Size:
    sides: tuple[int, ...]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (10**30, 10**30),
        (1.5, 1.5),
        (math.nan, "nan"),
        ("ü", "ü"),
        ((1, {2}, frozenset({3})), [1, [2], [3]]),
        (b"\xfb\xff", "-_8="),
        (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00Z"),
        (date(2024, 1, 2), "2024-01-02"),
        (time(1, 2), "01:02:00"),
        (timedelta(days=1, hours=12), "P1DT12H"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (
            {1: "a", (1, 2): "b", None: "c", b"x": "d"},
            {"1": "a", "[1, 2]": "b", "None": "c", "eA==": "d"},
        ),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (Blob(data=b"\xff"), {"data": "_w==", "colour": "red"}),
        (Size((1, 2)), {"sides": [1, 2]}),
        (Path("a/b"), "a/b"),
        (Size, str(Size)),
    ],
    ids=str,
)
def test_everything_becomes_plain_json(value: object, shown: object) -> None:
    assert to_json(value) == shown
    assert json.loads(json.dumps(to_json(value), allow_nan=False)) == shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(json_values.filter(lambda value: "inf" not in repr(value)))
def test_plain_json_is_shown_as_it_is(value: object) -> None:
    assert to_json(value) == value


def test_tags_are_read_without_the_task() -> None:
    data = b'[[{"$tuple":[1,{"$decimal":"1"}]}],{"a":{"$value":{"$set":[1]}}}]'
    assert decode_untyped(data) == [[(1, Decimal(1))], {"a": {1}}]


@pytest.mark.parametrize("data", [b"", b"{", b'{"$what":1}', b"\xff"])
def test_what_is_damaged_has_a_reason(data: bytes) -> None:
    with pytest.raises(PayloadError, match=r"the stored value cannot be read: \S+"):
        decode_untyped(data)
