"""Requests as text, and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from offload.core.errors import PayloadError
from offload.core.job import Inputs, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.retry import RetryPolicy
from offload.core.unique import OnConflict, Scope, UniqueKey

FIELDS = frozenset(field.name for field in fields(NewJob))


def text_of(job: NewJob) -> str:
    """Return the whole request as JSON."""
    values = {name: getattr(job, name) for name in FIELDS}
    values["payload"] = job.payload.decode()
    values["retry"] = asdict(job.retry)
    for name in ("unique", "lane"):
        values[name] = None if values[name] is None else asdict(values[name])
    values["metadata"] = None if job.metadata is None else dict(job.metadata)
    return json.dumps(values, sort_keys=True)


def job_of(text: str, age: float) -> NewJob:
    """Return the request that was written `age` seconds ago; what counts from then is shorter.

    Raises:
        PayloadError: the text is damaged, or of another version of offload.
    """
    try:
        return _job(json.loads(text), max(0.0, age))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PayloadError(f"the row cannot be read ({error!r})") from error


def _job(values: dict[str, Any], age: float) -> NewJob:
    if unknown := values.keys() - FIELDS:
        raise ValueError(f"written by a newer version: {', '.join(sorted(unknown))}")
    expires, lane = values["expires"], values["lane"]
    return NewJob(
        **values
        | {
            "payload": values["payload"].encode(),
            "delay": max(0.0, values["delay"] - age),
            "expires": None if expires is None else max(0.0, expires - age),
            "retry": RetryPolicy(**_with_tuples(values["retry"])),
            "unique": _unique(values["unique"]),
            "depends_on": tuple(values["depends_on"]),
            "on_parent_failure": OnParentFailure(values["on_parent_failure"]),
            "inputs": Inputs(values["inputs"]),
            "lane": None if lane is None else Lane(**lane),
            "tags": tuple(values["tags"]),
        }
    )


def _with_tuples(retry: Mapping[str, Any]) -> dict[str, Any]:
    return {**retry, "delays": tuple(retry["delays"])}


def _unique(values: dict[str, Any] | None) -> UniqueKey | None:
    if values is None:
        return None
    scope, on_conflict = Scope(values["scope"]), OnConflict(values["on_conflict"])
    return UniqueKey(values["key"], scope, on_conflict, values["window"])
