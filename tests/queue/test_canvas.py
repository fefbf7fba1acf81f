"""Chains, groups and chords: one batch, in order, and what each call gets."""

import asyncio
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from offload import (
    ArgumentError,
    ConfigurationError,
    DependencyError,
    JobCancelled,
    JobDead,
    JobGroup,
    JobHandle,
    Queue,
    chain,
    chord,
    group,
)
from tests.worker.staging import working


class Tasks:
    """Tasks that show in their result what they were given."""

    def __init__(self, queue: Queue) -> None:
        @queue.task(name="add", max_retries=0)
        async def add(x: int, y: int = 1) -> int:
            return x + y

        @queue.task(name="total")
        async def total(numbers: list[int], start: int = 0) -> int:
            return start + sum(numbers)

        @queue.task(name="show")
        async def show(*values: Any, **named: Any) -> str:
            return f"{values} {named}"

        @queue.task(name="fail", max_retries=0)
        async def fail(x: int) -> int:
            raise ValueError(f"no {x}")

        self.add, self.total, self.show, self.fail = add, total, show, fail


@pytest.fixture
def t(queue: Queue) -> Tasks:
    return Tasks(queue)


def before(handle: Any) -> Iterator[Any]:
    """Yield the handles that lead to this one, newest first."""
    while (handle := handle.parent) is not None:
        yield handle


async def test_each_call_gets_the_result_of_the_one_before(queue: Queue, t: Tasks) -> None:
    last = await chain(t.add.s(1), t.add.s(10), t.add.s(y=100)).adelay()
    assert isinstance(last, JobHandle)
    assert [type(handle) for handle in before(last)] == [JobHandle, JobHandle]
    async with working(queue):
        assert await last.aresult(timeout=30) == 112
    assert [await handle.aresult(timeout=0) for handle in before(last)] == [12, 2]
    assert (await last.afamily()).parents == [last.parent.id]


def test_all_jobs_are_stored_in_one_batch_or_none(queue: Queue, t: Tasks) -> None:
    chain(t.add.s(1), t.add.s(2), t.add.s(3)).delay()
    assert queue.stats()["pending"] == 3
    assert [job.blocked_by for job in queue.list_jobs()] == [1, 1, 0]
    with pytest.raises(ArgumentError):
        chain(t.add.s(1), t.add.s(2), t.add.s(3, 4)).delay()
    with pytest.raises(DependencyError):
        chain(t.add.s(1), t.add.s(2).set(depends_on="nobody")).delay()
    assert queue.stats()["pending"] == 3


@pytest.mark.parametrize("wrong", [(), (1, 2, 3), ("x",)])
def test_the_first_call_needs_all_its_arguments(t: Tasks, wrong: tuple[Any, ...]) -> None:
    with pytest.raises(ArgumentError):
        chain(t.add.s(*wrong), t.add.s()).delay()


@pytest.mark.parametrize(("args", "named"), [((1, 2), {}), (("x",), {}), ((), {"x": 1})])
def test_what_comes_from_before_is_left_out(t: Tasks, args: Any, named: Any) -> None:
    with pytest.raises(ArgumentError):
        chain(t.add.s(1), t.add.s(*args, **named)).delay()


async def test_an_immutable_call_takes_no_result(queue: Queue, t: Tasks) -> None:
    last = await chain(t.add.si(1), t.add.si(10, 20)).adelay()
    assert last.blocked_by == 1
    async with working(queue):
        assert await last.aresult(timeout=30) == 30
    with pytest.raises(ArgumentError):
        chain(t.add.si(1), t.add.si()).delay()  # type: ignore[call-arg]


async def test_a_group_gives_its_results_in_order(queue: Queue, t: Tasks) -> None:
    handles = await group(t.add.s(n) for n in range(5)).adelay()
    assert isinstance(handles, JobGroup)
    assert (len(handles), handles[0].blocked_by) == (5, 0)
    assert handles.status == dict.fromkeys(handles.status, 0) | {"pending": 5}
    assert repr(handles) == "<JobGroup 5 pending>"
    async with working(queue):
        assert await handles.aresult(timeout=30) == [1, 2, 3, 4, 5]
    assert handles.status["complete"] == 5
    assert await asyncio.to_thread(handles.result, timeout=0) == [1, 2, 3, 4, 5]
    assert [handle.id for handle in handles[1:3]] == [handles[1].id, handles[2].id]


async def test_a_chord_gets_the_list(queue: Queue, t: Tasks) -> None:
    flows = [
        chord([t.add.s(1), t.add.s(2)], t.total.s(100)),
        chord(group(t.add.s(1), t.add.s(2)), t.total.s(start=100)),
        chain(group(t.add.s(1), t.add.s(2)), t.total.s(100)),
    ]
    handles = [await flow.adelay() for flow in flows]
    assert [handle.blocked_by for handle in handles] == [2, 2, 2]
    async with working(queue):
        assert [await handle.aresult(timeout=30) for handle in handles] == [105, 105, 105]
    assert isinstance(handles[0].parent, JobGroup)


async def test_flows_nest(queue: Queue, t: Tasks) -> None:
    last = await chain(
        t.add.s(0),
        group(t.add.s(10), chain(t.add.s(20), t.add.s(1)), t.add.si(5)),
        t.total.s(),
        chain(t.add.s(1000), t.add.s(2000)),
        group(t.show.s("a"), group(t.show.s("b"), t.show.si("c"))),
        t.show.s(),
    ).adelay()
    shape = [len(handle) if isinstance(handle, JobGroup) else 1 for handle in before(last)]
    assert shape == [3, 1, 1, 1, 3, 1]
    async with working(queue):
        # 1; 11, 22, 6; 39; 1039, 3039
        numbers = (3039, "a"), (3039, "b")
        expected = [f"{numbers[0]} {{}}", f"{numbers[1]} {{}}", "('c',) {}"]
        assert await last.aresult(timeout=30) == f"({expected},) {{}}"


async def test_a_group_after_a_group_gets_the_list_each(queue: Queue, t: Tasks) -> None:
    flow = chain(group(t.add.s(1), t.add.s(2)), group(t.total.s(), t.total.s(10)))
    handles = await flow.adelay()
    async with working(queue):
        assert await handles.aresult(timeout=30) == [5, 15]


async def test_a_flow_can_be_enqueued_again(queue: Queue, t: Tasks) -> None:
    flow = chain(t.add.s(1), t.add.s(1))
    one, two = await flow.adelay(), await flow.adelay()
    assert len({one.id, two.id, one.parent.id, two.parent.id}) == 4


async def test_a_failing_step_cancels_what_follows(queue: Queue, t: Tasks) -> None:
    last = await chain(t.add.s(1), t.fail.s(), t.add.s(), t.add.s()).adelay()
    async with working(queue):
        with pytest.raises(JobCancelled, match=f"dependency {last.parent.id} cancelled"):
            await last.aresult(timeout=30)
        with pytest.raises(JobCancelled, match=f"dependency {last.parent.parent.id} dead"):
            await last.parent.aresult(timeout=30)
        with pytest.raises(JobDead, match="no 2"):
            await last.parent.parent.aresult(timeout=30)


async def test_what_follows_a_failure_runs_if_it_was_said(queue: Queue, t: Tasks) -> None:
    runs = t.show.s("then").set(on_parent_failure="run")
    one = await chain(t.fail.s(1), runs).adelay()
    many = await chord([t.add.s(1), t.fail.s(1)], runs).adelay()
    async with working(queue):
        assert await one.aresult(timeout=30) == "(None, 'then') {}"
        assert await many.aresult(timeout=30) == "([2, None], 'then') {}"


async def test_a_group_tells_the_first_that_failed(queue: Queue, t: Tasks) -> None:
    handles = await group(t.add.s(1), t.fail.s(1), t.fail.s(2)).adelay()
    async with working(queue):
        with pytest.raises(JobDead, match="no 1"):
            await handles.aresult(timeout=30)
        with pytest.raises(JobDead):
            await handles[2].aresult(timeout=30)
    assert (await handles.arefresh()).status["dead"] == 2


async def test_a_group_waits_no_longer_than_asked_and_is_cancelled(t: Tasks) -> None:
    handles = await group(t.add.s(1), t.add.s(2)).adelay()
    for timeout in (0, 0.01):
        with pytest.raises(TimeoutError):
            await handles.aresult(timeout=timeout)
    assert await handles[0].acancel()
    assert await handles.acancel() == 1
    assert (await handles.arefresh()).status["cancelled"] == 2
    assert await handles.acancel() == 0


@pytest.mark.parametrize(
    ("result", "annotation"),
    [
        ((1, 2), "tuple[int, int]"),
        ({3, 4}, "set[int]"),
        (date(2020, 2, 3), "date"),
        ({1: (2, 3)}, "dict[int, tuple[int, ...]]"),
        (b"\x00\xff", "bytes"),
        ((1, 2), "Any"),
        ([(1, 2)], "list"),
    ],
)
async def test_a_result_that_nothing_annotates_comes_as_annotated_here(
    queue: Queue, result: Any, annotation: str
) -> None:
    @queue.task(name="give")
    async def give() -> Any:
        return result

    async def take(value: Any) -> bool:
        return bool(type(value) is type(result) and value == result)

    async def take_all(values: Any) -> bool:
        return bool(values == [result, result])

    types = {"date": date, "Any": Any}
    take.__annotations__["value"] = eval(annotation, types)
    take_all.__annotations__["values"] = eval(f"list[{annotation}]", types)
    one = await chain(give.s(), queue.task(name="take")(take).s()).adelay()
    flow = chord([give.s(), give.s()], queue.task(name="take all")(take_all).s())
    many = await flow.adelay()
    async with working(queue):
        assert await one.aresult(timeout=30)
        assert await many.aresult(timeout=30)


async def test_a_result_that_does_not_fit_fails_the_next(queue: Queue, t: Tasks) -> None:
    @queue.task(name="text")
    async def text() -> str:
        return "no number"

    last = await chain(text.s(), t.add.s()).adelay()
    async with working(queue):
        with pytest.raises(Exception, match="argument 'x'"):
            await last.aresult(timeout=30)


def test_options_of_a_call_add_up_and_change_no_other(t: Tasks) -> None:
    step = t.add.s(1)
    low = step.set(priority=1, tags=["a"])
    high = low.set(priority=9)
    assert [flow.delay().job.priority for flow in (step, low, high)] == [0, 1, 9]
    assert high.delay().tags == ("a",)


@pytest.mark.parametrize("make", [chain, group, lambda *flows: chord(flows, flows[0])])
def test_what_is_no_call_is_refused(t: Tasks, make: Any) -> None:
    for wrong in (t.add, 7, "add"):
        with pytest.raises(ConfigurationError, match=r"is no call: write task\.s"):
            make(t.add.s(1), wrong)
    handle = t.add.delay(1)
    with pytest.raises(ConfigurationError, match="not made yet"):
        make(handle, t.add.s(1))


@pytest.mark.parametrize("make", [chain, group, lambda: group([]), lambda: group(iter(()))])
def test_nothing_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="at least one call"):
        make()


def test_a_chord_of_nothing_is_refused(t: Tasks) -> None:
    with pytest.raises(ConfigurationError, match="at least one call"):
        chord([], t.total.s())


def test_calls_of_two_queues_are_refused(t: Tasks) -> None:
    other = Tasks(Queue("memory://"))
    for make in (chain, group):
        with pytest.raises(ConfigurationError, match="different queues"):
            make(t.add.s(1), other.add.s(1))


def test_a_unique_job_that_others_wait_for_must_reject(queue: Queue, t: Tasks) -> None:
    for said in ({"unique": True}, {"unique_key": "k"}):
        with pytest.raises(ConfigurationError, match="on_conflict='reject'"):
            chain(t.add.s(1).set(**said), t.add.s()).delay()
    assert queue.list_jobs() == []
    first, again = (chain(t.add.s(1), t.add.s(5).set(unique_key="k")).delay() for _ in "12")
    assert first.id == again.id


def test_one_id_for_two_calls_is_refused(queue: Queue, t: Tasks) -> None:
    with pytest.raises(ConfigurationError, match="job_id='x' is given to two calls"):
        group(t.add.s(1).set(job_id="x"), t.add.s(2).set(job_id="x")).delay()
    assert queue.list_jobs() == []


def test_parents_of_its_own_come_after_those_of_the_flow(t: Tasks) -> None:
    own = t.add.delay(1)
    last = chain(t.add.s(1), t.add.s(2).set(depends_on=own)).delay()
    assert last.family().parents == [last.parent.id, own.id]
    with pytest.raises(ConfigurationError, match="give depends_on= to the calls of the group"):
        chord([t.add.s(1)], t.total.s().set(depends_on=own)).delay()


def test_a_flow_blocks_its_thread_also_inside_a_loop(t: Tasks) -> None:
    async def inside() -> str:
        return chain(t.add.s(1), t.add.s(1)).delay().status

    assert asyncio.run(inside()) == "pending"
