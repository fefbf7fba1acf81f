"""Defining tasks, naming them, calling them."""

import subprocess
import sys
from pathlib import Path
from uuid import RFC_4122, UUID

import pytest

from offload import ArgumentError, Queue, TaskDefinitionError, TaskNotRegistered
from offload.core.states import State
from offload.tasks.ids import new_ids


def test_a_task_is_named_by_module_and_qualname(queue: Queue) -> None:
    @queue.task
    def work() -> None: ...

    here = "test_a_task_is_named_by_module_and_qualname.<locals>.work"
    assert work.name == f"{__name__}.{here}"
    assert queue.task(name="mine")(lambda: None).name == "mine"


def test_a_task_still_looks_like_its_function(queue: Queue) -> None:
    @queue.task(max_retries=1)
    def work(x: int) -> int:
        """Add one."""
        return x + 1

    assert (work.__name__, work.__doc__) == ("work", "Add one.")
    assert repr(work) == f"<Task {work.name}>"


async def test_a_direct_call_runs_the_function(queue: Queue) -> None:
    @queue.task
    def double(x: int) -> int:
        return 2 * x

    @queue.task(max_retries=3)
    async def triple(x: int) -> int:
        return 3 * x

    assert double(2) == 4
    assert await triple(x=2) == 6
    assert await queue.alist_jobs() == []


def test_two_tasks_of_one_name_are_refused(queue: Queue) -> None:
    @queue.task(name="same")
    def one() -> None: ...

    with pytest.raises(TaskDefinitionError, match="two tasks are named 'same'"):

        @queue.task(name="same")
        def other() -> None: ...

    assert queue.tasks.get("same") is one


def test_the_same_definition_may_come_again(queue: Queue) -> None:
    """A module that is imported twice, by a reload or as `__main__`, is no conflict."""
    tasks = []
    for _ in range(2):

        @queue.task(name="again")
        def again() -> None: ...

        tasks.append(again)
    assert queue.tasks.get("again") is tasks[1]
    assert len(list(queue.tasks)) == 1


def test_an_unknown_name_is_told_the_known_ones(queue: Queue) -> None:
    queue.task(name="known")(lambda: None)
    with pytest.raises(TaskNotRegistered, match=r"'unknown' .*\(known: known\)"):
        queue.enqueue("unknown")
    with pytest.raises(TaskNotRegistered):
        queue.enqueue_many("unknown", [()])


def test_arguments_are_checked_at_the_call(queue: Queue) -> None:
    @queue.task
    def work(x: int, *, y: str = "") -> None: ...

    for args, kwargs in [((), {}), (("a",), {}), ((1, 2), {}), ((1,), {"z": 1}), ((1,), {"y": 2})]:
        with pytest.raises(ArgumentError):
            work.delay(*args, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"entry 1 is 2: each must be a tuple"):
        work.map([(1,), 2])  # type: ignore[list-item]
    assert queue.list_jobs() == []


def test_one_wrong_entry_stores_none(queue: Queue) -> None:
    @queue.task
    def work(x: int) -> None: ...

    with pytest.raises(ArgumentError):
        work.map([(1,), ("a",), (3,)])
    with pytest.raises(ArgumentError):
        queue.enqueue_many(work.name, [(1,), ("a",)])
    assert queue.list_jobs() == []


def test_map_takes_any_iterable_and_answers_in_order(queue: Queue) -> None:
    @queue.task
    def work(x: int) -> None: ...

    jobs = work.map((n,) for n in range(5))
    payloads = [job.refresh().job.payload for job in jobs]
    assert payloads == [b"[[%d],{}]" % n for n in range(5)]
    assert work.map([]) == []
    assert queue.enqueue_many(work.name, []) == []


def test_a_map_of_any_size_stores_each_job_in_its_place(queue: Queue) -> None:
    @queue.task
    def work(x: int) -> None: ...

    for count in (31, 32, 33, 200):
        jobs = work.map([(n,) for n in range(count)], priority=count, tags=["t"])
        assert [job.refresh().job.payload for job in jobs] == [
            b"[[%d],{}]" % n for n in range(count)
        ]
        assert {(job.job.priority, job.tags, job.status) for job in jobs} == {
            (count, ("t",), "pending")
        }
        assert sorted(job.id for job in jobs) == [job.id for job in jobs]


def test_ids_are_uuids_of_version_7_in_order() -> None:
    ids = new_ids(10_000)  # more than a millisecond has places for
    assert sorted({*ids, *new_ids(2)})[:10_000] == ids
    assert {(UUID(each).version, UUID(each).variant) for each in ids} == {(7, RFC_4122)}
    assert [str(UUID(each)) for each in ids] == ids


async def test_a_map_that_is_repeated_finds_its_jobs(queue: Queue) -> None:
    @queue.task
    def work(x: int) -> None: ...

    requests = work.new_jobs([(n,) for n in range(40)])
    await work.jobs.enqueue(requests[:35])
    queue.cancel_job(requests[3].id)
    again = await work.jobs.enqueue(requests)
    assert [job.id for job in again] == [job.id for job in requests]
    assert [job.state for job in again].count(State.CANCELLED) == 1
    assert queue.stats()["pending"] == 39


def test_enqueue_many_pairs_positional_and_named_arguments(queue: Queue) -> None:
    @queue.task
    def work(x: int, y: int = 0) -> None: ...

    jobs = queue.enqueue_many(work.name, [(1,), (2,)], [{"y": 5}, {}])
    assert [job.job.payload for job in jobs] == [b'[[1],{"y":5}]', b"[[2],{}]"]
    with pytest.raises(ValueError, match="args_list has 2 entries, kwargs_list 1"):
        queue.enqueue_many(work.name, [(1,), (2,)], [{}])


SCRIPT = """
from offload import Queue

queue = Queue(db_path="jobs.db")

@queue.task
def add(x: int, y: int) -> int:
    return x + y

class Group:
    @staticmethod
    @queue.task(executor="process")
    def multiply(x: int, y: int) -> int:
        return x * y

async def main():
    import asyncio
    stop = asyncio.Event()
    work = asyncio.create_task(queue.arun_worker(stop))
    jobs = [await add.adelay(2, 3), await Group.multiply.adelay(2, 3)]
    print(*[job.task_name for job in jobs], *[await job.aresult(timeout=30) for job in jobs])
    stop.set()
    await work

if __name__ == "__main__":
    import asyncio
    asyncio.run(main())
    queue.close()
"""


def test_a_script_counts_by_its_files_name(tmp_path: Path) -> None:
    """Also in the processes of its tasks, which must not run it a second time."""
    (tmp_path / "my_script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "my_script.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == ["my_script.add", "my_script.Group.multiply", "5", "6"]


def test_plain_and_async_functions_have_their_executor(queue: Queue) -> None:
    @queue.task
    def plain() -> None: ...

    @queue.task
    async def coroutine() -> None: ...

    assert (plain.executor, coroutine.executor) == ("thread", "async")
