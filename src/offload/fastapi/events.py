"""The events of a job's stream, and the ids by which a client that reconnects goes on.

The id of a state is the job's version, `12`. In a stream with partial results the last part that
was sent stands behind it, `12-34`: versions merge, parts do not, so a client has to name both.
"""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from offload.codec import to_json
from offload.core.states import State
from offload.fastapi.finding import AnyHandle
from offload.queue import Queue
from offload.tasks.handle import MOST_PARTS
from offload.tasks.parts import JobPart

# Nobody counts to 10**18, and Python refuses to read numbers of thousands of digits.
EVENT_ID = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")

UNTOLD = {"progress": 0, "status": State.RUNNING}
"""What parts show of a job that has ended before its stream began: they came while it ran."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client has been sent: a version of the job, and its parts up to one."""

    version: int = 0
    part: int = 0


def last_seen(request: Request, now: AnyHandle) -> Seen:
    """Return what the client names: nothing, if it names what never was."""
    given = EVENT_ID.fullmatch(request.headers.get("last-event-id", ""))
    if given is None or int(given[1]) > now.version:
        return Seen()
    return Seen(int(given[1]), int(given[2] or 0))


class States:
    """Tells a client each state of a job that it has not seen, or the newest of several."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    async def knows(self, handle: AnyHandle) -> bool:
        """Say whether the client has seen all that there is."""
        return self.seen.version == handle.version

    async def events(self, handle: AnyHandle) -> AsyncGenerator[str]:
        """Yield what is new."""
        if handle.version > self.seen.version:
            self.seen = Seen(handle.version)
            yield _event(f"{handle.version}", _state(handle))


class StatesAndParts(States):
    """Tells each part too, in order and before the job's last state."""

    def __init__(self, queue: Queue, seen: Seen) -> None:
        super().__init__(seen)
        self._queue = queue
        self._shown: dict[str, Any] | None = None

    async def knows(self, handle: AnyHandle) -> bool:
        """Say whether the client has seen the state, and every part."""
        return await super().knows(handle) and not await self._parts(handle, 1)

    async def events(self, handle: AnyHandle) -> AsyncGenerator[str]:
        """Yield what is new; the end always, for it may be for missed parts that a client came.

        A part shows the state that was told before it, so that a client that stops at a final
        one stops at the very end. States that differ in nothing but their parts are left out.
        """
        if not handle.job.is_final:
            is_news = handle.version > self.seen.version and _state(handle) != self._shown
            self.seen, self._shown = Seen(handle.version, self.seen.part), _state(handle)
            if is_news:
                yield self._event({})
        while parts := await self._parts(handle, MOST_PARTS):
            for part in parts:
                self.seen = Seen(self.seen.version, part.id)
                yield self._event({"partial_result": to_json(part.value)})
        if handle.job.is_final:
            self.seen, self._shown = Seen(handle.version, self.seen.part), _state(handle)
            yield self._event({})

    async def _parts(self, handle: AnyHandle, limit: int) -> list[JobPart]:
        return await self._queue.ajob_parts(handle.id, self.seen.part, limit)

    def _event(self, more: dict[str, Any]) -> str:
        return _event(f"{self.seen.version}-{self.seen.part}", (self._shown or UNTOLD) | more)


def _state(handle: AnyHandle) -> dict[str, Any]:
    return {"progress": handle.progress, "status": handle.status}


def _event(event_id: str, data: dict[str, Any]) -> str:
    return f"id: {event_id}\ndata: {json.dumps(data)}\n\n"
