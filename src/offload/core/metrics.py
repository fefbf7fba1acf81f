"""What the attempts of tasks took, in a few numbers."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from offload.core.records import Metric
from offload.core.states import Move

FAILURES = frozenset({Move.RETRY, Move.FAIL, Move.BURY})


@dataclass(frozen=True, slots=True)
class Spread:
    """How a number of durations lie, in seconds."""

    mean: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """The attempts of one task."""

    count: int
    failures: int
    wait: Spread
    """From the due time to the claim."""
    ran: Spread
    memory: int | None
    """The most bytes that one of them held, where that can be told."""


def by_task(metrics: Iterable[Metric]) -> dict[str, TaskMetrics]:
    """Return the numbers of each task, by name."""
    attempts = defaultdict(list)
    for metric in metrics:
        attempts[metric.task].append(metric)
    return {task: summary(attempts[task]) for task in sorted(attempts)}


def summary(attempts: Sequence[Metric]) -> TaskMetrics:
    """Return at least one attempt in numbers."""
    return TaskMetrics(
        count=len(attempts),
        failures=sum(metric.move in FAILURES for metric in attempts),
        wait=spread([metric.wait for metric in attempts]),
        ran=spread([metric.ran for metric in attempts]),
        memory=max((m.memory for m in attempts if m.memory is not None), default=None),
    )


def spread(seconds: Sequence[float]) -> Spread:
    """Return the mean, and the smallest values that half and 95 of 100 are not above."""
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return ordered[ceil(share * len(ordered)) - 1]

    return Spread(sum(ordered) / len(ordered), rank(0.5), rank(0.95))
