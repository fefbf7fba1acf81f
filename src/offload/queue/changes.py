"""What a call to `edit_periodic` changes of a stored schedule."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict

from offload.core.errors import ConfigurationError
from offload.core.schedule import Edit, Schedule
from offload.cron import Cron, Every, Trigger
from offload.tasks.periodic import (
    JobOptions,
    Policy,
    plain_options,
    policy_of,
    trigger_in,
    trigger_of,
)
from offload.tasks.registry import Registry


class Changes(TypedDict, total=False):
    """What `edit_periodic` can change; what is not given, or None, stays."""

    cron: str | None
    every: float | timedelta | None
    tz: str | None
    seconds: bool
    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    overlap: str | None
    catch_up: str | None
    jitter: float | None
    options: JobOptions | None


def edit_of(there: Schedule, changes: Changes, tasks: Registry, now: int) -> Edit:
    """Return the change, from `now` on.

    Raises:
        TaskNotRegistered: arguments or options can only be checked where the task is known.
        ConfigurationError, ArgumentError, PayloadError: a value is wrong.
    """
    unknown = changes.keys() - Changes.__annotations__
    if unknown:
        known = ", ".join(Changes.__annotations__)
        raise ConfigurationError(f"unknown: {', '.join(sorted(unknown))}; there are: {known}")
    trigger = _trigger(there, changes)
    return Edit(
        trigger=trigger.text,
        tz=trigger.tz or "UTC",
        next_at=trigger.after(now),
        payload=_payload(there, changes, tasks),
        options=_options(there, changes, tasks),
        **_policy(changes),
    )


def edit_to(added: Schedule) -> Edit:
    """Return the change of a schedule of the same task to this one."""
    return Edit(
        trigger=added.trigger,
        next_at=added.next_at,
        tz=added.tz,
        payload=added.payload,
        options=added.options,
        overlap=added.overlap,
        catch_up=added.catch_up,
        jitter=added.jitter,
    )


def _payload(there: Schedule, changes: Changes, tasks: Registry) -> bytes | None:
    args, kwargs = changes.get("args"), changes.get("kwargs")
    if args is None and kwargs is None:
        return None
    signature = tasks.get(there.task).signature
    old_args, old_kwargs = signature.decode_arguments(there.payload)
    return signature.encode_arguments(
        old_args if args is None else args, old_kwargs if kwargs is None else kwargs
    )


def _options(there: Schedule, changes: Changes, tasks: Registry) -> Mapping[str, object] | None:
    options = changes.get("options")
    return None if options is None else plain_options(tasks.get(there.task), options)


def _trigger(there: Schedule, changes: Changes) -> Trigger:
    cron, every, tz = changes.get("cron"), changes.get("every"), changes.get("tz")
    seconds = changes.get("seconds", False)
    if every is not None:
        return trigger_of(cron, every, tz, seconds=seconds)
    if cron is not None:
        return trigger_of(cron, None, tz or there.tz, seconds=seconds)
    old = trigger_in(there)
    if isinstance(old, Every):
        if tz is not None or seconds:
            raise ConfigurationError("tz= and seconds= are for cron=, and this one has every=")
        return old
    return Cron(old.expression, tz or old.tz, seconds=old.seconds)


def _policy(changes: Changes) -> dict[str, Any]:
    said = {
        "overlap": changes.get("overlap"),
        "catch_up": changes.get("catch_up"),
        "jitter": changes.get("jitter"),
    }
    given = {name: value for name, value in said.items() if value is not None}
    default = Policy()
    valid = policy_of(
        given.get("overlap", default.overlap),
        given.get("catch_up", default.catch_up),
        given.get("jitter", default.jitter),
    )
    return {name: getattr(valid, name) for name in given}
