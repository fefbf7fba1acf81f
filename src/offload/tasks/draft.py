"""From a call with its options to the request that is stored."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from math import inf
from typing import Any

from offload.codec import Signature
from offload.core.alike import Alike
from offload.core.errors import ArgumentError, ConfigurationError, PayloadError
from offload.core.instants import instant
from offload.core.job import Inputs, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.options import (
    DEFAULT_QUEUE,
    NAME,
    SECONDS,
    Options,
    checked,
    over,
    require,
    retry_policy,
)
from offload.core.unique import Unique, UniqueKey
from offload.tasks import keys
from offload.tasks.ids import new_id, new_ids
from offload.tasks.naming import AnyJob

Parents = AnyJob | Iterable[AnyJob]


class BatchOptions(Options, total=False):
    """What can be said of several jobs at once."""

    delay: float | None
    """Seconds to wait before the job may start."""
    eta: datetime | None
    """The moment before which it must not start, with a time zone."""
    unique_key: str | None
    """While a pending or running job of the store has this key, that job is returned."""
    depends_on: Parents | None
    """Jobs, handles or ids that must end first; one or several."""
    metadata: Mapping[str, object] | None
    """Anything JSON, kept with the job."""
    tags: Sequence[str] | None
    """Words to find the job by."""


class CallOptions(BatchOptions, total=False):
    """What can be said of one job."""

    job_id: str | None
    """An id of your own; enqueuing it twice gives one job."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What comes to a job from those before it: whose results, and in what form."""

    parents: tuple[str, ...] = ()
    inputs: Inputs = Inputs.NONE


NOTHING = Feed()


class Draft:
    """Makes the jobs of one call to enqueue: what they have in common is worked out once."""

    def __init__(
        self,
        task: str,
        signature: Signature,
        weaker: Mapping[str, Any],
        said: CallOptions,
        *,
        lane: Lane | None = None,
        limit_key: Any = None,
    ) -> None:
        """Complete what was `said` by the `weaker` options.

        Raises:
            ConfigurationError: an option is unknown or has a wrong value.
        """
        self._task = task
        self._signature = signature
        said = checked(said, CallOptions)
        options: CallOptions = over(said, weaker)  # type: ignore[assignment]
        self._job_id = said.get("job_id")
        self._parents = parent_ids(said.get("depends_on"))
        self._unique = _unique(options, said)
        self._lane = lane
        self._limit_key = limit_key
        self._common = _common(task, options)

    def job(self, args: Sequence[Any], kwargs: Mapping[str, Any], feed: Feed = NOTHING) -> NewJob:
        """Return the request for a call; nothing is stored yet.

        Raises:
            ArgumentError, PayloadTooLarge, PayloadError: the arguments do not fit.
            ConfigurationError: a key cannot be made of them.
        """
        fed = feed.inputs is not Inputs.NONE
        payload = self._signature.encode_arguments(args, kwargs, fed=fed)
        unique, lane = self._unique, self._lane
        if isinstance(unique, Unique) or self._limit_key is not None:
            call = keys.Call(self._signature, args, kwargs, fed=fed)
            if isinstance(unique, Unique):
                unique = keys.unique_key(self._task, unique, call)
            if lane is not None and self._limit_key is not None:
                lane = keys.lane(lane, self._limit_key, call)
        return NewJob(
            id=self._job_id or new_id(),
            payload=payload,
            unique=unique,
            lane=lane,
            inputs=feed.inputs,
            depends_on=self._all_parents(feed),
            **self._common,
        )

    def jobs(
        self, calls: Iterable[object], named: Iterable[Mapping[str, Any]] = repeat({})
    ) -> Sequence[NewJob]:
        """Return the requests for many calls: a tuple of arguments each, and those by name.

        Raises:
            ArgumentError: these are no calls, or an entry is no tuple or list, or does not fit.
        """
        if not isinstance(calls, Iterable):
            raise ArgumentError(f"{self._task}: {calls!r}: must be a list of tuples of arguments")
        entries = [self._entry(place, args) for place, args in enumerate(calls)]
        if self._unique is not None or self._limit_key is not None or not entries:
            return [self.job(args, kwargs) for args, kwargs in zip(entries, named, strict=False)]
        payloads = list(map(self._signature.encode_arguments, entries, named))
        pattern = NewJob(id="", lane=self._lane, depends_on=self._parents, **self._common)
        return Alike(pattern, new_ids(len(entries)), payloads)

    def entry(self, place: int, args: object, kwargs: Mapping[str, Any]) -> NewJob:
        """Return the request for one of many calls.

        Raises:
            ArgumentError: its arguments are no tuple or list, or do not fit.
        """
        return self.job(self._entry(place, args), kwargs)

    def _entry(self, place: int, args: object) -> Sequence[Any]:
        if not isinstance(args, tuple | list):
            raise ArgumentError(
                f"{self._task}: entry {place} is {args!r}: each must be a tuple of arguments, "
                f"as in [({args!r},)]"
            )
        return args

    def _all_parents(self, feed: Feed) -> tuple[str, ...]:
        if self._parents and feed.inputs is Inputs.LIST:
            raise ConfigurationError(
                f"task {self._task!r}: a call after a group gets the results of the group: "
                "give depends_on= to the calls of the group instead"
            )
        return feed.parents + self._parents


def parent_ids(parents: object) -> tuple[str, ...]:
    """Return the ids of one job or several, each once.

    Raises:
        ConfigurationError: one is no job.
    """
    if parents is None:
        return ()
    several = parents if _is_several(parents) else [parents]
    return tuple(dict.fromkeys(_id(parent) for parent in several))  # type: ignore[attr-defined]


def _is_several(parents: object) -> bool:
    return isinstance(parents, Iterable) and not isinstance(parents, str)


def _id(parent: object) -> str:
    job_id = getattr(parent, "id", parent)
    if not isinstance(job_id, str) or not job_id:
        raise ConfigurationError(
            f"depends_on={parent!r}: must be a job, a handle, an id, or a list of them"
        )
    return job_id


def _unique(options: CallOptions, said: CallOptions) -> Unique | UniqueKey | None:
    """Return the key of all jobs, or how to make that of each."""
    key, unique = said.get("unique_key"), options.get("unique")
    if key is None:
        return (unique if isinstance(unique, Unique) else Unique()) if unique else None
    if said.get("unique") is False:
        raise ConfigurationError(f"unique_key={key!r} with unique=False: leave one out")
    require("unique_key", key, NAME)
    return (unique if isinstance(unique, Unique) else Unique()).held(key)


def _common(task: str, options: CallOptions) -> dict[str, Any]:
    """Return the fields that all jobs of a call have in common."""
    delay, eta = options.get("delay"), options.get("eta")
    if delay is not None and eta is not None:
        raise ConfigurationError("give delay= or eta=, not both")
    if delay is not None:
        require("delay", delay, SECONDS)
    if (job_id := options.get("job_id")) is not None:
        require("job_id", job_id, NAME)
    return {
        "task": task,
        "queue": options.get("queue", DEFAULT_QUEUE),
        "priority": options.get("priority", 0),
        "delay": delay or 0.0,
        "run_at": None if eta is None else instant("eta", eta),
        "retry": retry_policy(options),
        "timeout": _finite(options.get("timeout")),
        "expires": _finite(options.get("expires")),
        "result_ttl": options.get("result_ttl"),
        "on_parent_failure": OnParentFailure(options.get("on_parent_failure") or "cancel"),
        "metadata": _plain(options.get("metadata"), task),
        "tags": _words(options.get("tags")),
    }


def _finite(seconds: float | None) -> float | None:
    return None if seconds == inf else seconds


def _words(tags: object) -> tuple[str, ...]:
    if tags is None:
        return ()
    if isinstance(tags, list | tuple | set | frozenset) and all(map(NAME[1], tags)):
        return tuple(tags)
    raise ConfigurationError(f"tags={tags!r}: must be a list of names")


def _plain(metadata: Mapping[str, object] | None, task: str) -> Mapping[str, object] | None:
    if metadata is not None:
        try:
            json.dumps(dict(metadata), allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise PayloadError(f"task {task!r}: metadata is not plain JSON: {error}") from error
    return metadata
