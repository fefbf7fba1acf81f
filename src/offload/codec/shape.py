"""The parameters of a task function: which argument goes to which, and how each travels."""

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import Parameter
from types import SimpleNamespace
from typing import Any, NamedTuple, get_type_hints

from pydantic import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import SchemaError, to_json

from offload.codec.carriers import Carrier, carrier_for
from offload.core.errors import ArgumentError, TaskDefinitionError

BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Slot(NamedTuple):
    """A place that a value goes to: what to call it in an error, and how the value travels."""

    label: str
    carrier: Carrier


class Shape:
    """The signature of a function, prepared for many calls."""

    def __init__(self, function: Callable[..., object], task: str) -> None:
        """Resolve all annotations.

        Raises:
            TaskDefinitionError: one cannot be resolved, or is no type that can be carried.
        """
        self._task = task
        self._signature = inspect.signature(function)
        hints = _Hints(function, task)
        parameters = list(self._signature.parameters.values())
        slots = {p.name: Slot(f"argument {p.name!r}", hints.carrier(p.name)) for p in parameters}
        self._slots = slots
        self._by_position = tuple(slots[p.name] for p in parameters if p.kind in BY_POSITION)
        self._by_name = {p.name: slots[p.name] for p in parameters if p.kind in BY_NAME}
        kinds = {p.kind: slots[p.name] for p in parameters}
        self._more_positions = kinds.get(Parameter.VAR_POSITIONAL)
        self._more_names = kinds.get(Parameter.VAR_KEYWORD)
        self._least, self._most = _counts(parameters)
        self._by_position_only = sum(
            p.kind is Parameter.POSITIONAL_ONLY and p.default is p.empty for p in parameters
        )
        self.returns = Slot("result", hints.carrier("return"))

    def check(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Return if the function can be called like this.

        Raises:
            ArgumentError: an argument is missing, unknown, given twice or one too many.
        """
        if type(args) not in {tuple, list} or type(kwargs) is not dict:
            self._require_lists(args, kwargs)
        count = len(args)
        if count < self._by_position_only:
            # Python 3.13 binds `f(a=1)` to `def f(a, /, **rest)`, and the call then fails.
            raise ArgumentError(
                f"task {self._task!r}: it takes {self._by_position_only} arguments by position, "
                f"the first is {next(iter(self._signature.parameters))!r}"
            )
        # `bind` takes longer than all the rest; the common call does not need it.
        if not kwargs and self._least <= count <= self._most:
            return
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            takes = ", ".join(self._signature.parameters) or "no arguments"
            raise ArgumentError(f"task {self._task!r}: {error} (it takes: {takes})") from None

    def _require_lists(self, args: object, kwargs: object) -> None:
        # Of a text, the letters would be the arguments.
        if not isinstance(args, Collection) or isinstance(args, str | bytes):
            said = f"task {self._task!r}: args={args!r}"
            raise ArgumentError(f"{said}: must be a tuple of arguments, as in ({args!r},)")
        if not isinstance(kwargs, Mapping):
            raise ArgumentError(
                f"task {self._task!r}: kwargs={kwargs!r}: must be a dict of arguments by name"
            )

    def bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, Any]:
        """Return the arguments of a call that was checked, by name, defaults included."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for parameter in self._signature.parameters.values():
            if parameter.kind is Parameter.VAR_KEYWORD:
                bound.arguments |= bound.arguments.pop(parameter.name)
        return bound.arguments

    def places(self, name: str, value: Any) -> list[tuple[Slot, object]]:
        """Return where the value of a bound argument goes; that of `*args` is many values."""
        parameter = self._signature.parameters.get(name)
        if parameter is None or parameter.kind is Parameter.VAR_KEYWORD:
            return [(self.named(name), value)]
        several = parameter.kind is Parameter.VAR_POSITIONAL
        return [(self._slots[name], item) for item in (value if several else (value,))]

    def is_default(self, name: str, value: object) -> bool:
        """Whether this very value is the default of that parameter."""
        parameter = self._signature.parameters.get(name)
        return parameter is not None and parameter.default is value

    def positions(self, count: int) -> Sequence[Slot]:
        """Return the slots of the first `count` positional arguments."""
        slots = self._by_position[:count]
        if self._more_positions is None or count <= len(slots):
            return slots
        label, carrier = self._more_positions
        return (*slots, *(Slot(f"{label}[{i}]", carrier) for i in range(count - len(slots))))

    def named(self, name: str) -> Slot:
        """Return the slot of an argument given by name.

        Raises:
            ArgumentError: such a name cannot be carried.
        """
        if slot := self._by_name.get(name):
            return slot
        # In an object with one key, "$…" would be taken for a tag.
        if self._more_names is None or name.startswith("$"):
            raise ArgumentError(
                f"task {self._task!r}: argument {name!r}: names are texts without a leading '$'"
            )
        return Slot(f"argument {name!r}", self._more_names.carrier)


def _counts(parameters: Sequence[Parameter]) -> tuple[float, float]:
    """Return how few and how many positional arguments alone make a valid call."""
    kinds = {p.kind for p in parameters}
    needed = [p for p in parameters if p.default is p.empty]
    if any(p.kind is Parameter.KEYWORD_ONLY for p in needed):
        return math.inf, -math.inf
    most = sum(p.kind in BY_POSITION for p in parameters)
    least = sum(p.kind in BY_POSITION for p in needed)
    return least, math.inf if Parameter.VAR_POSITIONAL in kinds else most


class _Hints:
    """The annotations of a function, resolved one by one so that an error can name its own."""

    def __init__(self, function: Callable[..., object], task: str) -> None:
        inner: Any = inspect.unwrap(function)
        if not hasattr(inner, "__annotations__"):
            inner = type(inner).__call__  # an object that can be called
        self._globals = getattr(inner, "__globals__", {})
        self._annotations = getattr(inner, "__annotations__", {})
        self._task = task

    def carrier(self, name: str) -> Carrier:
        annotation = self._annotations.get(name, Parameter.empty)
        try:
            return carrier_for(self._resolved(annotation))
        except (
            *(AttributeError, NameError, SyntaxError, TypeError, ValueError),
            *(PydanticUndefinedAnnotation, PydanticUserError, SchemaError),
        ) as error:
            raise self._undefined(name, annotation, error) from error

    def _resolved(self, annotation: Any) -> Any:
        if annotation is Parameter.empty:
            return annotation
        holder = SimpleNamespace(__annotations__={"it": annotation})
        return get_type_hints(holder, globalns=self._globals, include_extras=True)["it"]

    def _undefined(self, name: str, annotation: Any, error: Exception) -> TaskDefinitionError:
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        place = "its return value" if name == "return" else f"its parameter {name!r}"
        reason = str(error).partition("\n")[0].rstrip(".")
        return TaskDefinitionError(
            f"task {self._task!r}: the annotation {text!r} of {place} cannot be used: {reason}. "
            f"{_way_out(error)}"
        )


def _way_out(error: Exception) -> str:
    if isinstance(error, NameError):
        return "Import or define it at the top of the module, not only under TYPE_CHECKING."
    return "Use a type that Pydantic can carry as JSON, or pass what the value is made from."


def json_name(name: str) -> bytes:
    """Return the start of a member of a JSON object."""
    return to_json(name) + b":"
