"""Annotated values that would not come back are refused when they are encoded."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from offload.core.errors import ArgumentError, PayloadError
from tests.codec.examples import (
    Base,
    Derived,
    Photo,
    Tree,
    Unit,
    signature_of,
)


class Secret(BaseModel):
    password: SecretStr


class Hidden(BaseModel):
    name: str = Field("default", exclude=True)


class Measured(BaseModel):
    value: float | None = None


class Unbounded(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")
    value: float = 1


@dataclass
class Initialised:
    given: int
    made: list[int] = field(init=False, default_factory=list)


def deep_tree(levels: int) -> Tree:
    tree = Tree()
    for _ in range(levels):
        tree = Tree(children=[tree])
    return tree


def round_tree() -> Tree:
    tree = Tree()
    tree.children.append(tree)
    return tree


def made(value: int) -> Initialised:
    made = Initialised(value)
    made.made.append(value)
    return made


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (Secret, Secret(password=SecretStr("x")), ["['password']", "SecretStr", "changed"]),
        (Hidden, Hidden(name="x"), ["['name']", "would come back"]),
        (Base, Derived(), ["Derived would come back as Base", "annotate"]),
        (list[Base], [Base(), Derived()], ["[1]", "Derived would come back as Base"]),
        (dict[str, Any], {"a": Base()}, ["['a']", "Base would come back as dict", "annotate"]),
        (dict[str, Any], {"a": [object()]}, ["['a'][0]", "object cannot be carried"]),
        (Unit | str, Unit.PIXEL, ["Unit would come back as str"]),
        (Measured, Measured(value=float("nan")), ["['value']", "nan", "None"]),
        (Unbounded, Unbounded(value=float("inf")), ["['value']", "inf"]),
        (Initialised, made(1), ["['made']"]),
        (Tree, deep_tree(100), ["app.function"]),
        (Tree, deep_tree(300), ["app.function"]),
        (Tree, round_tree(), ["app.function"]),
        (str, "\ud800", ["lone surrogate", "os.fsencode"]),
        (list[str], ["a", "\ud800"], ["[1]", "lone surrogate"]),
        (int, 10**5000, ["digits"]),
        (list[int], [10**5000], ["digits"]),
        (dict[str, Any], {"a": 10**5000}, ["digits"]),
        (Photo, Photo.model_construct(path=1, taken="x"), ["app.function"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_come_back_is_refused(
    annotation: object, value: object, words: list[str]
) -> None:
    signature = signature_of(annotation)
    with pytest.raises(PayloadError) as raised:
        signature.encode_arguments((value,), {})
    assert type(raised.value) is PayloadError
    for word in ["'app.function'", "argument 'value'", *words]:
        assert word in str(raised.value)
    with pytest.raises(PayloadError, match="result"):
        signature.encode_result(value)


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (int, "many", ["valid integer", "got str"]),
        (list[int], [1, "x", None, "y", "z"], ["[1]", "[2]", "[3]", "got NoneType", "and 1 more"]),
        (float, float("nan"), ["finite"]),
        (list[float], [1.0, float("inf")], ["[1]", "finite"]),
        (Decimal, Decimal("Infinity"), ["finite"]),
        (Photo, {"path": "a"}, ["['taken']", "Field required"]),
        (dict, [], ["should be a dict", "got list"]),
        (tuple[()], (1,), ["at most 0 items"]),
        (list, (1,), ["should be a list", "got tuple"]),
        (dict[str, Any], {1: 2}, ["valid string"]),
        (int, None, ["valid integer"]),
    ],
    ids=str,
)
def test_what_is_not_what_the_annotation_says(
    annotation: object, value: object, words: list[str]
) -> None:
    signature = signature_of(annotation)
    with pytest.raises(ArgumentError) as raised:
        signature.encode_arguments((value,), {})
    for word in ["'app.function'", "argument 'value'", *words]:
        assert word in str(raised.value)
    with pytest.raises(PayloadError, match=r"'app\.function': result") as refused:
        signature.encode_result(value)
    assert not isinstance(refused.value, ArgumentError)


def test_an_error_shows_types_and_not_values() -> None:
    with pytest.raises(ArgumentError) as raised:
        signature_of(int).encode_arguments(("hunter2",), {})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(int, '"x"'), (Photo, "{}"), (dict, "[]"), (datetime, '{"$value":{"$date":"x"}}')],
    ids=str,
)
def test_a_value_that_fits_no_more_when_it_is_read(annotation: object, text: str) -> None:
    signature = signature_of(annotation)
    with pytest.raises(PayloadError, match=r"'app\.function': argument 'value'.*changed since"):
        signature.decode_arguments(f"[[{text}],{{}}]".encode())


def test_a_long_path_is_shortened_and_values_are_not_shown() -> None:
    with pytest.raises(PayloadError) as raised:
        signature_of(Tree).encode_arguments((deep_tree(100),), {})
    assert len(str(raised.value)) < 300
    with pytest.raises(PayloadError, match="could not be read back") as raised:
        signature_of(Base).encode_arguments((Base.model_construct(a="hunter2"),), {})
    assert "hunter2" not in str(raised.value)
