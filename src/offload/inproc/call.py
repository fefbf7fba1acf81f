"""A call that somebody asks for."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from offload.core.request import Mode
from offload.inproc.options import PLAIN, RequestOptions

if TYPE_CHECKING:
    from offload.inproc.task import RequestTask


class Call(NamedTuple):
    """What is to be called, when, and how."""

    func: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    options: RequestOptions = PLAIN
    mode: Mode = Mode.NOW


class Taker(Protocol):
    """Who makes request tasks of calls: an application, or one of its requests."""

    def take(self, call: Call) -> "RequestTask[Any]":
        """Return the task for a call; it is known from now on."""
