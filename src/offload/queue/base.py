"""What the parts of `Queue` share."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from offload.client.client import Client
from offload.tasks.registry import Registry

T = TypeVar("T")


class Base:
    """The tasks of a queue, and the way to its jobs."""

    tasks: Registry
    _client: Client

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._client.run(coroutine)
