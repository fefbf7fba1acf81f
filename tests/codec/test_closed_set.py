"""Values without an annotation: what travels, and in which form."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from offload.codec import Signature, decode_untyped
from tests.codec.comparing import typed


def anything(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - that is the point
    return value


SIGNATURE = Signature(anything, "app.anything")


def carried(value: object) -> object:
    (back,), kwargs = SIGNATURE.decode_arguments(SIGNATURE.encode_arguments((value,), {}))
    assert kwargs == {}
    return back


def written(value: object) -> Any:
    [[text], _] = json.loads(SIGNATURE.encode_arguments((value,), {}))
    return text


offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
hashable_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**300), 10**300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(["$tuple", "$dict", "$value", "$", "$unknown"]),
    st.binary(),
    st.datetimes(timezones=st.none() | offsets),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
)
hashables = st.recursive(
    hashable_scalars,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.sets(hashables, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "$set", "$dict", "$value"]), inner, max_size=2),
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(values)
def test_every_value_of_the_set_comes_back_as_what_it_was(value: object) -> None:
    assert typed(carried(value)) == typed(value)


@settings(deadline=None)
@given(values)
def test_a_reader_without_the_task_sees_the_same(value: object) -> None:
    payload = SIGNATURE.encode_arguments((value,), {})
    assert typed(decode_untyped(payload)) == typed([[value], {}])
    assert typed(decode_untyped(SIGNATURE.encode_result(value))) == typed(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ({"a": [1, 2.5, "x", True]}, {"a": [1, 2.5, "x", True]}),
        ((1, 2), {"$tuple": [1, 2]}),
        ({7}, {"$set": [7]}),
        (frozenset({7}), {"$frozenset": [7]}),
        (b"\xfb\xff", {"$bytes": "-_8="}),
        (datetime(2024, 1, 2, tzinfo=UTC), {"$datetime": "2024-01-02T00:00:00+00:00"}),
        (date(2024, 1, 2), {"$date": "2024-01-02"}),
        (time(1, 2), {"$time": "01:02:00"}),
        (timedelta(seconds=-1), {"$timedelta": [-1, 86399, 0]}),
        (Decimal("1.10"), {"$decimal": "1.10"}),
        (UUID(int=1), {"$uuid": "00000000-0000-0000-0000-000000000001"}),
        ({1: "x"}, {"$dict": [[1, "x"]]}),
        ({"$set": [1]}, {"$dict": [["$set", [1]]]}),
        ({"$set": [1], "b": 2}, {"$set": [1], "b": 2}),
    ],
)
def test_the_form_in_json(value: object, text: object) -> None:
    # Other programs and later versions read this: changing it needs a migration.
    assert written(value) == text
    assert typed(carried(value)) == typed(value)


def test_a_zone_becomes_its_offset_and_the_instant_stays() -> None:
    # In the hour that is repeated when summer time ends, `fold` says which of the two.
    berlin = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    back = carried(berlin)
    assert isinstance(back, datetime)
    assert back.isoformat() == berlin.isoformat() == "2024-10-27T02:30:00+01:00"
