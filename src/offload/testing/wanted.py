"""Which jobs a test asks for, and how jobs look in the message of a failed assertion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from offload.core.errors import ArgumentError
from offload.core.job import Job
from offload.core.states import State
from offload.tasks.registry import AnyTask, Registry


@dataclass(slots=True)
class Wanted:
    """A call as far as it was said; arguments are the same however they are spelled."""

    task: AnyTask | None = None
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    queue: str | None = None
    tags: Sequence[str] = ()
    delay: float | None = None
    arguments: Mapping[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse a call that cannot be made: that it was not made would prove nothing.

        Raises:
            ArgumentError: the arguments do not fit the function.
        """
        if self.task is not None and (self.args is not None or self.kwargs):
            payload = self.task.signature.encode_arguments(self.args or (), self.kwargs or {})
            self.arguments = _arguments(self.task, payload)

    def __str__(self) -> str:
        said = [*map(repr, self.args or ()), *_named(self.kwargs or {})]
        delay = "" if self.delay is None else f" with delay {self.delay:g} s"
        return f"{self.task.name if self.task else 'a job'}({', '.join(said) or '…'}){delay}"

    def fits(self, job: Job) -> bool:
        """Whether this job is one that is wanted."""
        return (
            (self.task is None or job.task == self.task.name)
            and self.queue in (None, job.queue)
            and set(self.tags) <= set(job.tags)
            and self.delay in (None, _delay(job))
            and (self.arguments is None or self._fits_arguments(job))
        )

    def _fits_arguments(self, job: Job) -> bool:
        try:
            return self.task is not None and _arguments(self.task, job.payload) == self.arguments
        except ArgumentError:
            return False  # its first argument comes from a job that has not ended


def _arguments(task: AnyTask, payload: bytes) -> dict[str, Any]:
    """Return what the function would get, by name, defaults filled in."""
    return task.signature.arguments(*task.signature.decode_arguments(payload))


def listed(jobs: Sequence[Job], tasks: Registry) -> str:
    """Return a line for each job."""
    return "".join(f"\n  {_line(job, tasks)}" for job in jobs) or " nothing"


def _line(job: Job, tasks: Registry) -> str:
    words = [f"{job.task}{_call(job, tasks)}", str(job.state)]
    if job.state is State.PENDING and _delay(job):
        words.append(f"delay {_delay(job):g} s")
    if job.queue != "default":
        words.append(f"queue {job.queue}")
    if job.tags:
        words.append(f"tags {' '.join(job.tags)}")
    return "  ".join(words)


def _call(job: Job, tasks: Registry) -> str:
    task = tasks.find(job.task)
    try:
        if task is None:
            return job.payload.decode()
        args, kwargs = task.signature.decode_arguments(job.payload)
    except ArgumentError:
        return job.payload.decode()
    return f"({', '.join([*map(repr, args), *_named(kwargs)])})"


def _named(kwargs: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in kwargs.items()]


def _delay(job: Job) -> float:
    return (job.run_at - job.created_at) / 1000
