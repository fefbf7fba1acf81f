"""Types as users annotate them, and a task that takes and returns one of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, computed_field
from typing_extensions import TypedDict  # Pydantic takes typing's from Python 3.12 on

from offload.codec import Signature


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Unit(StrEnum):
    PIXEL = "px"


@dataclass(frozen=True)
class Size:
    width: int
    height: int = 1


class Point(NamedTuple):
    x: int
    y: float


class Options(TypedDict, total=False):
    quality: int
    data: bytes


class Photo(BaseModel):
    path: Path
    taken: datetime
    size: Size | None = None
    tags: set[str] = set()
    extra: dict[str, Any] = {}


class Blob(BaseModel):
    data: bytes
    colour: Colour = Colour.RED


class Renamed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    full_name: str = Field(validation_alias="fullName", serialization_alias="FULL-NAME")

    @computed_field
    def length(self) -> int:
        return len(self.full_name)


class Base(BaseModel):
    a: int = 1


class Derived(Base):
    b: int = 2


class Tree(BaseModel):
    children: list["Tree"] = []


def signature_of(annotation: object) -> Signature:
    def function(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return value

    function.__annotations__.update({"value": annotation, "return": annotation})
    return Signature(function, "app.function")


WHEN = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001
