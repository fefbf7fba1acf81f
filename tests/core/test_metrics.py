"""Attempts in numbers."""

import pytest

from offload.core.metrics import Spread, by_task, spread
from offload.core.records import Metric
from offload.core.states import Move


def metric(task: str, move: Move, ran: float = 1.0, memory: int | None = None) -> Metric:
    return Metric(0, "job", task, 1, move, 0.5, ran, memory, 0)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([3.0], Spread(3.0, 3.0, 3.0)),
        ([2.0, 1.0], Spread(1.5, 1.0, 2.0)),
        ([float(n) for n in range(100, 0, -1)], Spread(50.5, 50.0, 95.0)),
        ([float(n) for n in range(1, 21)], Spread(10.5, 10.0, 19.0)),
    ],
)
def test_a_spread_names_values_that_were_there(seconds: list[float], expected: Spread) -> None:
    assert spread(seconds) == expected


def test_each_task_is_counted_by_itself() -> None:
    found = by_task(
        [
            metric("b", Move.COMPLETE, memory=10),
            metric("a", Move.RETRY),
            metric("b", Move.BURY, ran=3.0, memory=30),
            metric("b", Move.FAIL),
            metric("b", Move.CANCEL),
            metric("b", Move.RELEASE, memory=20),
        ]
    )
    assert list(found) == ["a", "b"]
    assert (found["a"].count, found["a"].failures, found["a"].memory) == (1, 1, None)
    assert (found["b"].count, found["b"].failures, found["b"].memory) == (5, 2, 30)
    assert found["b"].wait == Spread(0.5, 0.5, 0.5)
    assert by_task([]) == {}
