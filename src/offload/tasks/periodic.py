"""Periodic tasks as code defines them, and the jobs that their ticks make."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypedDict, TypeVar, cast

from offload.core.errors import ArgumentError, ConfigurationError, TaskDefinitionError
from offload.core.job import NewJob
from offload.core.options import NAME, checked, require
from offload.core.schedule import CatchUp, Overlap, Schedule
from offload.cron import Cron, Every, Trigger, jittered, parse_trigger
from offload.tasks.draft import CallOptions
from offload.tasks.ids import new_id, tick_id
from offload.tasks.task import Task


class JobOptions(TypedDict, total=False):
    """What a schedule can say of its jobs, before what their task says."""

    max_retries: int | None
    retry_backoff: float | None
    max_retry_delay: float | None
    retry_delays: Sequence[float] | None
    timeout: float | None
    priority: int | None
    expires: float | None
    queue: str | None
    result_ttl: float | None
    metadata: Mapping[str, object] | None
    tags: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a schedule behaves."""

    overlap: Overlap = Overlap.ALLOW
    catch_up: CatchUp = CatchUp.ONE
    jitter: float = 0.0


def policy_of(overlap: object, catch_up: object, jitter: object) -> Policy:
    """Return the policy that these values say.

    Raises:
        ConfigurationError: naming the option and its valid values.
    """
    if isinstance(jitter, bool) or not isinstance(jitter, int | float):
        raise ConfigurationError(f"jitter={jitter!r}: must be a number of seconds, 0 or more")
    jittered(0, "", jitter)
    return Policy(
        one_of(Overlap, "overlap", overlap), one_of(CatchUp, "catch_up", catch_up), float(jitter)
    )


E = TypeVar("E", bound=StrEnum)


def one_of(kind: type[E], option: str, value: object) -> E:
    """Return the value as one of its kind.

    Raises:
        ConfigurationError: it is none; the message names all.
    """
    if value not in list(kind):
        raise ConfigurationError(f"{option}={value!r}: use one of {', '.join(kind)}")
    return kind(cast("str", value))


def trigger_of(
    cron: str | None, every: float | timedelta | None, tz: str | None, *, seconds: bool
) -> Trigger:
    """Return the one trigger that was given.

    Raises:
        ConfigurationError: none was, or both, or one that never fires.
    """
    if (cron is None) == (every is None):
        raise ConfigurationError(
            'give one of cron="0 9 * * *" and every=30 (seconds, or a timedelta)'
        )
    if cron is not None:
        if callable(cron):
            raise ConfigurationError('it needs brackets: @queue.periodic(cron="0 9 * * *")')
        if not isinstance(cron, str):
            raise ConfigurationError(f"cron={cron!r}: must be a text such as '0 9 * * *'")
        return Cron(cron, "UTC" if tz is None else tz, seconds=seconds)
    if tz is not None or seconds:
        raise ConfigurationError("tz= and seconds= are for cron=: an interval has no time of day")
    interval: object = every.total_seconds() if isinstance(every, timedelta) else every
    if isinstance(interval, bool) or not isinstance(interval, int | float):
        raise ConfigurationError(f"every={every!r}: must be a number of seconds or a timedelta")
    return Every(interval)


def schedule_name(name: object, task: Task[Any, Any, Any]) -> str:
    """Return the name of a schedule, by default that of its task.

    Raises:
        ConfigurationError: it is no name.
    """
    if name is None:
        return task.name
    require("name", name, NAME)
    return cast("str", name)


@dataclass(frozen=True)
class Periodic:
    """A schedule that code defines."""

    name: str
    task: Task[Any, Any, Any]
    trigger: Trigger
    policy: Policy
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse arguments that do not fit where they are written.

        Raises:
            ArgumentError, PayloadTooLarge, PayloadError: naming them.
        """
        try:
            inspect.signature(self.task.function).bind(*self.args, **(self.kwargs or {}))
        except TypeError as error:
            raise ArgumentError(
                f"periodic task {self.name!r}: {error}: give args= and kwargs= for its calls"
            ) from None
        try:
            self._payload()
        except TaskDefinitionError:
            # An annotation may name what is only defined further down; a worker knows by then.
            return

    def schedule(self, now: int) -> Schedule:
        """Return what is stored of it; its first tick is after `now`.

        Raises:
            TaskDefinitionError: the function's annotations cannot be used.
            PayloadError: its arguments cannot be carried.
        """
        return Schedule(
            name=self.name,
            task=self.task.name,
            trigger=self.trigger.text,
            tz=self.trigger.tz or "UTC",
            next_at=self.trigger.after(now),
            payload=self._payload(),
            overlap=self.policy.overlap,
            catch_up=self.policy.catch_up,
            jitter=self.policy.jitter,
        )

    def _payload(self) -> bytes:
        return self.task.signature.encode_arguments(self.args, self.kwargs or {})


def trigger_in(schedule: Schedule) -> Trigger:
    """Return the trigger of a stored schedule.

    Raises:
        ConfigurationError: this program cannot use it, as when the system lacks its time zone.
    """
    return parse_trigger(schedule.trigger, schedule.tz)


def positional(args: object) -> tuple[Any, ...]:
    """Return the positional arguments of a schedule's calls.

    Raises:
        ArgumentError: these are none.
    """
    if not isinstance(args, tuple | list):
        raise ArgumentError(f"args={args!r}: must be a tuple of arguments, as in ({args!r},)")
    return tuple(args)


def plain_options(task: Task[Any, Any, Any], said: JobOptions) -> Mapping[str, object]:
    """Return the options in the JSON that is stored.

    Raises:
        ConfigurationError: one is unknown or wrong, or cannot be kept.
    """
    if not isinstance(said, Mapping):
        raise ConfigurationError(f"options={said!r}: must be a dict of options")
    options = checked(cast("CallOptions", said), cast("type[CallOptions]", JobOptions))
    task.draft(options)  # refuses what no job can have
    try:
        stored: Mapping[str, object] = json.loads(json.dumps(options, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the options of a schedule must be plain JSON: {error}") from None
    return stored


def job_of(task: Task[Any, Any, Any], schedule: Schedule, tick: int | None) -> NewJob:
    """Return the job of a tick, or of none: then it is one that somebody triggered.

    The job of a tick has the same id whoever makes it.

    Raises:
        ArgumentError, PayloadError: the stored arguments do not fit the function any more.
        ConfigurationError: nor do the options.
    """
    args, kwargs = task.signature.decode_arguments(schedule.payload)
    options = cast("CallOptions", dict(schedule.options or {}))
    job = replace(task.new_job(args, kwargs, **options), schedule=schedule.name, tick=tick)
    if tick is None:
        return replace(job, id=new_id())
    delay = jittered(tick, schedule.name, schedule.jitter)
    return replace(job, id=tick_id(schedule.name, tick), delay=delay)
