"""Calls that follow each other: `chain`, `group` and `chord`, all on top of `depends_on`.

A flow says what is to be enqueued; `delay` does it, in one batch: all of its jobs or none.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, Unpack, overload

from offload.core.errors import ConfigurationError
from offload.core.job import Inputs, Job, NewJob
from offload.core.unique import OnConflict
from offload.tasks.bridge import blocking
from offload.tasks.draft import NOTHING, CallOptions, Draft, Feed
from offload.tasks.group import JobGroup
from offload.tasks.handle import JobHandle
from offload.tasks.ports import Jobs

H = TypeVar("H")
R = TypeVar("R")
T = TypeVar("T")

Stored = Mapping[str, Job]
"""The jobs of a batch as they were stored, by the ids that were asked for."""


class Callee(Protocol):
    """A task, as far as a flow needs to know it."""

    name: str
    jobs: Jobs

    def draft(self, options: CallOptions) -> Draft:
        """Return what makes the requests of a call with these options."""


@dataclass(frozen=True, slots=True)
class Planned(Generic[H]):
    """A flow whose jobs are made: what it gives to the next, and its handles once it is stored."""

    feed: Feed
    held: Callable[[Stored, Any], H]
    """Makes the handles; it also gets the handle of what came before."""


class Flow(ABC, Generic[H]):
    """One call or several; its handles are of type `H`."""

    @property
    @abstractmethod
    def jobs(self) -> Jobs:
        """Where its jobs go."""

    @abstractmethod
    def plan(self, feed: Feed, batch: dict[str, NewJob]) -> Planned[H]:
        """Add its jobs to the batch, those that begin getting what `feed` says."""

    async def adelay(self, *, connection: object = None) -> H:
        """Enqueue all jobs in one transaction, and return the handle of the last call.

        After a group this is a `JobGroup`; `parent` leads to what came before. `connection` is
        as for `apply_async`: it is then its transaction.

        Raises:
            ArgumentError, PayloadTooLarge, PayloadError: the arguments of a call do not fit.
            ConfigurationError: an option of a call is wrong, or makes no sense here.
            DuplicateJob, DependencyError: as for a single call.
            StoreError: the store could not take them; none is there.
        """
        batch: dict[str, NewJob] = {}
        planned = self.plan(NOTHING, batch)
        stored = await self.jobs.enqueue(list(batch.values()), connection)
        return planned.held(dict(zip(batch, stored, strict=True)), None)

    delay = blocking(adelay)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.jobs.run(coroutine)


class Step(Flow[JobHandle[R]]):
    """A call to be made later, by itself or in a chain, group or chord."""

    def __init__(
        self, task: Callee, args: Sequence[Any], kwargs: Mapping[str, Any], *, takes: bool
    ) -> None:
        """Call `task`; with `takes`, the result of what came before is its first argument."""
        self._task = task
        self._args = args
        self._kwargs = kwargs
        self._takes = takes
        self._options = CallOptions()

    @property
    def jobs(self) -> Jobs:
        """Where its job goes."""
        return self._task.jobs

    def __repr__(self) -> str:
        """Show the task."""
        return f"<Step {self._task.name}>"

    def set(self, **options: Unpack[CallOptions]) -> "Step[R]":
        """Return this call with options, which are those of `apply_async`."""
        step: Step[R] = Step(self._task, self._args, self._kwargs, takes=self._takes)
        step._options = {**self._options, **options}
        return step

    def plan(self, feed: Feed, batch: dict[str, NewJob]) -> Planned[JobHandle[R]]:
        """Add its job to the batch."""
        for parent in feed.parents:
            _check_is_stored(batch[parent])
        fed = feed if self._takes else Feed(feed.parents)
        job = self._task.draft(self._options).job(self._args, self._kwargs, fed)
        if job.id in batch:
            raise ConfigurationError(f"job_id={job.id!r} is given to two calls of one flow")
        batch[job.id] = job

        def held(stored: Stored, parent: Any) -> JobHandle[R]:
            return JobHandle(stored[job.id], self.jobs, parent)

        return Planned(Feed((job.id,), Inputs.FIRST), held)


class Chain(Flow[H]):
    """Flows of which each begins when the one before has ended."""

    def __init__(self, flows: Sequence[Flow[Any]]) -> None:
        """Run `flows` one after the other.

        Raises:
            ConfigurationError: there are none, one is no flow, or they belong to two queues.
        """
        self._flows = _checked("chain", flows)

    @property
    def jobs(self) -> Jobs:
        """Where its jobs go."""
        return self._flows[0].jobs

    def plan(self, feed: Feed, batch: dict[str, NewJob]) -> Planned[H]:
        """Add the jobs of all flows to the batch."""
        planned = []
        for flow in self._flows:
            planned.append(flow.plan(feed, batch))
            feed = planned[-1].feed

        def held(stored: Stored, parent: Any) -> H:
            for each in planned:
                parent = each.held(stored, parent)
            last: H = parent
            return last

        return Planned(feed, held)


class Group(Flow[JobGroup[R]]):
    """Flows that do not wait for each other. What comes after them gets a list of all results.

    A group in a group counts as part of it.
    """

    def __init__(self, flows: Sequence[Flow[Any]]) -> None:
        """Run `flows` side by side.

        Raises:
            ConfigurationError: there are none, one is no flow, or they belong to two queues.
        """
        self._flows = _checked("group", flows)

    @property
    def jobs(self) -> Jobs:
        """Where its jobs go."""
        return self._flows[0].jobs

    def plan(self, feed: Feed, batch: dict[str, NewJob]) -> Planned[JobGroup[R]]:
        """Add the jobs of all flows to the batch."""
        planned = [flow.plan(feed, batch) for flow in self._flows]
        ends = tuple(job_id for each in planned for job_id in each.feed.parents)

        def held(stored: Stored, parent: Any) -> JobGroup[R]:
            handles: list[JobHandle[R]] = []
            for each in planned:
                end = each.held(stored, parent)
                handles.extend(end if isinstance(end, JobGroup) else [end])
            return JobGroup(handles, self.jobs, parent)

        return Planned(Feed(ends, Inputs.LIST), held)


def chain(*flows: *tuple[*tuple[Flow[Any], ...], Flow[H]]) -> Flow[H]:
    """Return calls of which each gets the result of the one before as its first argument.

    `chain(fetch.s(url), resize.s(100), store.s()).delay()` returns the handle of the last job.
    If one ends without a result, what follows is cancelled, unless a call has
    `.set(on_parent_failure="run")`: it then gets None.

    Raises:
        ConfigurationError: there are none, one is no call, or they belong to two queues.
    """
    return Chain(flows)


@overload
def group(*flows: Flow[JobHandle[R]]) -> Flow[JobGroup[R]]: ...


@overload
def group(*flows: Flow[Any]) -> Flow[JobGroup[Any]]: ...


@overload
def group(flows: Iterable[Flow[JobHandle[R]]], /) -> Flow[JobGroup[R]]: ...


def group(*flows: Any) -> Flow[JobGroup[Any]]:
    """Return calls that do not wait for each other: `group(resize.s(size) for size in sizes)`.

    Raises:
        ConfigurationError: there are none, one is no call, or they belong to two queues.
    """
    if len(flows) == 1 and isinstance(flows[0], Iterable):
        flows = tuple(flows[0])
    return Group(flows)


def chord(header: Flow[JobGroup[Any]] | Iterable[Flow[Any]], callback: Flow[H]) -> Flow[H]:
    """Return a group and the call that gets the list of its results, in the order of the group.

    Raises:
        ConfigurationError: one is no call, or they belong to two queues.
    """
    return chain(header if isinstance(header, Flow) else Group(tuple(header)), callback)


def _checked(kind: str, flows: Sequence[Any]) -> Sequence[Flow[Any]]:
    if not flows:
        raise ConfigurationError(f"a {kind} needs at least one call, such as task.s(1)")
    for flow in flows:
        if not isinstance(flow, Flow):
            raise ConfigurationError(
                f"{kind}: {flow!r} is no call: write task.s(…), which is not made yet"
            )
        if flow.jobs is not flows[0].jobs:
            raise ConfigurationError(f"{kind}: the calls belong to different queues")
    return flows


def _check_is_stored(parent: NewJob) -> None:
    # Were another job to hold its key, this one would not be stored, and its children could
    # not wait for it.
    if parent.unique is not None and parent.unique.on_conflict is not OnConflict.REJECT:
        raise ConfigurationError(
            f"{parent.task}: a unique job that others wait for needs on_conflict='reject'; "
            "or give it .set(unique=False)"
        )
