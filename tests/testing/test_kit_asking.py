"""What was enqueued, as a test asks for it."""

from datetime import timedelta
from typing import Any

import pytest

from offload import (
    ArgumentError,
    TaskNotRegistered,
    chain,
)
from offload.testing import Harness
from tests.testing.program import Point, double, flip, note


def test_enqueued_jobs_are_found_by_what_they_are(kit: Harness) -> None:
    first = note.apply_async(("a",), tags=["red", "big"])
    second = note.apply_async(("b", 2), queue="other", tags=["red"])
    third = double.delay(1)
    kit.drain()

    def found(task: Any = None, **wanted: Any) -> list[str]:
        return [job.id for job in kit.enqueued(task, **wanted)]

    assert found() == [first.id, second.id, third.id]
    assert found(note) == found(note.name) == [first.id, second.id]
    assert found(note, args=("a",)) == found(note, kwargs={"word": "a"}) == [first.id]
    assert found(note, args=("b",), kwargs={"times": 2}) == [second.id]
    assert found(note, args=("a",), kwargs={"times": 1}) == [first.id]
    assert found(note, args=("c",)) == []
    assert found(queue="other") == found(tags=["red"], queue="other") == [second.id]
    assert found(tags=["big", "red"]) == [first.id]


def test_arguments_are_compared_as_the_function_gets_them(kit: Harness) -> None:
    flip.delay(Point(1))
    kit.assert_enqueued(flip, Point(1))
    kit.assert_not_enqueued(flip, Point(2))


def test_what_cannot_be_is_refused_and_not_found_missing(kit: Harness) -> None:
    with pytest.raises(TaskNotRegistered):
        kit.assert_not_enqueued("program.nott")
    with pytest.raises(ArgumentError):
        kit.assert_not_enqueued(note, wrod="a")


def test_a_job_whose_argument_is_not_there_yet_does_not_match(kit: Harness) -> None:
    chain(note.s("a"), note.s(2)).delay()
    [first] = kit.assert_enqueued(note, "a")
    kit.drain()
    kit.assert_enqueued(note, "a", 2)
    assert first.refresh().status == "complete"


def test_a_number_of_calls_and_their_delays(kit: Harness) -> None:
    note.map([("a",), ("b",)])
    note.apply_async(("c",), delay=60)
    assert len(kit.assert_enqueued(note, count=3)) == 3
    kit.assert_enqueued(note, "c", delay=60)
    kit.assert_enqueued(note, delay=timedelta(minutes=1))
    kit.assert_enqueued(note, count=2, delay=0)
    with pytest.raises(AssertionError):
        kit.assert_enqueued(note, "c", delay=30)
    with pytest.raises(AssertionError):
        kit.assert_enqueued(note)


def test_a_failure_lists_what_was_enqueued_instead(kit: Harness) -> None:
    name = note.name.removesuffix("note")
    with pytest.raises(AssertionError) as failure:
        kit.assert_enqueued(note, "a", delay=5)
    assert str(failure.value) == (
        f"{name}note('a') with delay 5 s was enqueued 0 times, not 1; enqueued were: nothing"
    )
    note.delay("b", times=2)
    kit.drain()
    note.apply_async(("c",), queue="other", tags=["red", "big"], delay=1.5)
    chain(double.s(1), double.s()).delay()
    with pytest.raises(AssertionError) as failure:
        kit.assert_enqueued(note, "a", times=3)
    assert str(failure.value).splitlines() == [
        f"{name}note('a', times=3) was enqueued 0 times, not 1; enqueued were:",
        f"  {name}note('b', times=2)  complete",
        f"  {name}note('c')  pending  delay 1.5 s  queue other  tags red big",
        f"  {name}double(1)  pending",
        f"  {name}double[[],{{}}]  pending",
    ]
    with pytest.raises(AssertionError, match=r"note\(…\) was enqueued 2 times, not 0"):
        kit.assert_not_enqueued(note)
