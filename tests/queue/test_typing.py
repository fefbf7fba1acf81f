"""What an editor knows of a task. mypy reads this: an `ignore` that ignores nothing is an error."""

from collections.abc import Callable
from typing import Any, assert_type

import pytest

from offload import ArgumentError, ConfigurationError, JobGroup, JobHandle, Queue, chain, group


def test_types_lead_from_the_function_to_the_result(queue: Queue) -> None:
    @queue.task(max_retries=1)
    async def double(x: int) -> int:
        return 2 * x

    @queue.task
    def join(values: list[int], end: str = "") -> str:
        return f"{values}{end}"

    assert_type(double.delay(1), JobHandle[int])
    assert_type(join.apply_async([[1]], priority=3), JobHandle[str])
    assert_type(double.map([(1,)]), list[JobHandle[int]])
    assert_type(chain(double.s(1), double.s()).delay(), JobHandle[int])
    assert_type(group(double.s(1), double.s(2)).delay(), JobGroup[int])
    assert_type(group(double.s(n) for n in range(2)).delay(), JobGroup[int])
    assert_type(chain(group(double.s(1), double.s(2)), join.s(end="!")).delay(), JobHandle[str])


def test_a_wrong_call_is_wrong_in_the_editor_and_here(queue: Queue) -> None:
    @queue.task
    def work(x: int, *, y: str = "") -> None: ...

    wrong: list[Callable[[], Any]] = [
        lambda: work.delay("x"),  # type: ignore[arg-type]
        lambda: work.delay(1, z=1),  # type: ignore[call-arg]
        lambda: work.si().delay(),  # type: ignore[call-arg]
        lambda: work.s(1, y=2).delay(),  # type: ignore[call-overload]
        lambda: work.s(1, 2).delay(),  # type: ignore[call-overload]
    ]
    for call in wrong:
        with pytest.raises(ArgumentError):
            call()
    with pytest.raises(ConfigurationError):
        work.apply_async([1], prio=1)  # type: ignore[call-arg]
    assert queue.list_jobs() == []
