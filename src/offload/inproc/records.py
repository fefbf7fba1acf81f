"""The request tasks that can be looked up: all unfinished ones, and the newest that have ended."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

from offload.core.request import RequestStatus
from offload.inproc.task import RequestTask, now


class Records:
    """Every method is short, and safe from any thread if its caller holds the runner's lock."""

    def __init__(self, ttl: float, most: int, clock: Callable[[], int] = now) -> None:
        """Keep `most` tasks that have ended, none for longer than `ttl` seconds."""
        # Dicts for their order: sets have none.
        self.unfinished: dict[RequestTask[Any], None] = {}
        self.counts: Counter[RequestStatus] = Counter()
        """How many tasks have ended, by how."""
        self._ended: deque[RequestTask[Any]] = deque()
        self._named: dict[str, RequestTask[Any]] = {}
        self._keys: dict[str, RequestTask[Any]] = {}
        self._ttl = ttl
        self._most = most
        self._clock = clock

    def holder(self, key: str | None) -> RequestTask[Any] | None:
        """Return the unfinished task that has this key."""
        return None if key is None else self._keys.get(key)

    def add(self, task: RequestTask[Any]) -> None:
        """Take in a new task."""
        self.unfinished[task] = None
        task.is_known = True
        if task.known_id is not None:
            self._named[task.known_id] = task
        if task.key is not None:
            self._keys[task.key] = task

    def end(self, task: RequestTask[Any]) -> None:
        """Note that a task has ended."""
        del self.unfinished[task]
        # A task that leaves for its queue meanwhile has a `key` no more.
        key = task.options.key
        if key is not None and self._keys.get(key) is task:
            del self._keys[key]
        self.counts[task.status] += 1
        self._ended.append(task)
        self._forget(task.finished_at)

    def get(self, task_id: str) -> RequestTask[Any] | None:
        """Return a task; None if it is unknown or forgotten."""
        self._forget()
        return self._named.get(task_id)

    def named(self, task: RequestTask[Any], task_id: str) -> str:
        """Return the id under which a task can be found: this one, if it has none yet."""
        if task.known_id is None:
            task.known_id = task_id
            if task.is_known:
                self._named[task_id] = task
        return task.known_id

    def all(self) -> Iterator[RequestTask[Any]]:
        """Return all tasks that are known, the newest first."""
        self._forget()
        yield from reversed(self.unfinished)
        yield from reversed(self._ended)

    def _forget(self, instant: int | None = None) -> None:
        oldest = (instant or self._clock()) - self._ttl * 1000
        while self._ended:
            first = self._ended[0]
            if len(self._ended) <= self._most and (first.finished_at or 0) >= oldest:
                return
            self._ended.popleft()
            first.is_known = False
            self._named.pop(first.known_id or "", None)
