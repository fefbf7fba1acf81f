"""The part of `Queue` that enqueues tasks by their names."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Unpack, cast

from offload.core.errors import ConfigurationError
from offload.core.job import NewJob
from offload.queue.base import Base
from offload.tasks.bridge import blocking
from offload.tasks.draft import BatchOptions, CallOptions
from offload.tasks.handle import JobHandle, handles
from offload.tasks.registry import AnyTask, name_of

PER_JOB = {
    "delay_list": "delay",
    "unique_keys": "unique_key",
    "metadata_list": "metadata",
    "expires_list": "expires",
    "result_ttl_list": "result_ttl",
}
"""Options that have a value for each job, and what each value is for its job."""


class ManyOptions(BatchOptions, total=False):
    """What can be said of several jobs, of all or of each."""

    delay_list: Sequence[float | None] | None
    unique_keys: Sequence[str | None] | None
    metadata_list: Sequence[Mapping[str, object] | None] | None
    expires_list: Sequence[float | None] | None
    result_ttl_list: Sequence[float | None] | None


class Enqueueing(Base):
    """See `Queue`."""

    async def aenqueue(
        self, task_name: str | AnyTask, /, *args: Any, **kwargs: Any
    ) -> JobHandle[Any]:
        """Enqueue a registered task by its name; its own options hold.

        Raises:
            TaskNotRegistered: no task of that name is known here.
            OffloadError: as for `task.delay`.
        """
        return await self.tasks.get(name_of(task_name)).adelay(*args, **kwargs)

    enqueue = blocking(aenqueue)

    async def aenqueue_many(
        self,
        task_name: str | AnyTask,
        args_list: Sequence[Sequence[Any]],
        kwargs_list: Sequence[Mapping[str, Any]] | None = None,
        *,
        connection: object = None,
        **options: Unpack[ManyOptions],
    ) -> list[JobHandle[Any]]:
        """Enqueue a job for each entry, all in one transaction.

        Args:
            task_name: the task, or its name.
            args_list: the positional arguments of each job.
            kwargs_list: the named arguments of each.
            connection: of a database of yours; see `outbox`.
            options: those of `apply_async` for all jobs, without job_id; or for each its own:
                delay_list, unique_keys, metadata_list, expires_list, result_ttl_list.

        Raises:
            TaskNotRegistered: no task of that name is known here.
            ConfigurationError: the lists differ in length, or an option is wrong.
            OffloadError: as for `task.apply_async`; nothing is enqueued.
        """
        task = self.tasks.get(name_of(task_name))
        _require_list("args_list", args_list)
        rows = _rows(len(args_list), kwargs_list, dict(options))
        shared = {name: value for name, value in options.items() if name not in PER_JOB}
        jobs = _jobs(task, args_list, rows, shared)
        return handles(await self._client.enqueue(jobs, connection), self._client)

    enqueue_many = blocking(aenqueue_many)


def _require_list(name: str, value: object) -> None:
    if not isinstance(value, Collection) or isinstance(value, str | bytes):
        raise ConfigurationError(f"{name}={value!r}: must be a list with an entry for each job")


def _rows(
    count: int, kwargs_list: Sequence[Mapping[str, Any]] | None, options: dict[str, Any]
) -> dict[str, Sequence[Any]]:
    """Return the lists that have an entry for each job."""
    rows = {"kwargs_list": kwargs_list} | {name: options.get(name) for name in PER_JOB}
    found = {name: row for name, row in rows.items() if row is not None}
    for name, row in found.items():
        _require_list(name, row)
        if len(row) != count:
            raise ConfigurationError(
                f"args_list has {count} entries, {name} {len(row)}: give one of each for every job"
            )
    return found


def _jobs(
    task: AnyTask,
    args_list: Sequence[Sequence[Any]],
    rows: dict[str, Sequence[Any]],
    shared: dict[str, Any],
) -> Sequence[NewJob]:
    named = rows.pop("kwargs_list", [{}] * len(args_list))
    draft = task.batch_draft(cast("BatchOptions", shared))
    if not rows:
        return draft.jobs(args_list, named)
    jobs = []
    for place, args in enumerate(args_list):
        own = {PER_JOB[name]: row[place] for name, row in rows.items()}
        draft = task.draft(cast("CallOptions", shared | own))
        jobs.append(draft.entry(place, args, named[place]))
    return jobs
