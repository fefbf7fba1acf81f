"""The simulation is as fast as the slowest of its parts, and time passes only in it."""

import asyncio
from dataclasses import replace

import pytest

from bench.scaling.fleet import ENGINES, Plan, drained, fleet
from bench.scaling.model import Cost, Costs
from bench.scaling.virtual import simulate

FREE = Cost(0.0, 0.0)
MICRO = 1e-6
COSTS = Costs(FREE, FREE, FREE, FREE, FREE, member=MICRO, wait=0.0)


def test_an_hour_takes_no_time() -> None:
    async def hour() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert simulate(hour()) == pytest.approx(3600)


def test_who_waits_for_nobody_is_told() -> None:
    async def nobody() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="everybody waits"):
        simulate(nobody())


@pytest.mark.parametrize(
    ("costs", "rate"),
    [
        (replace(COSTS, member=100 * MICRO), 10_000),
        (replace(COSTS, claim=Cost(0.0, 100 * MICRO)), 10_000),
        (replace(COSTS, claim_here=Cost(0.0, 50 * MICRO), finish_here=Cost(0, 50 * MICRO)), 10_000),
    ],
)
def test_one_worker_is_as_fast_as_the_slowest_part(costs: Costs, rate: float) -> None:
    assert drained(ENGINES["redis"], costs, 1, 5000, cores=4) == pytest.approx(rate, rel=0.05)


def test_calls_that_are_dear_are_shared_by_many_jobs() -> None:
    """A worker learns to claim ahead, also while slots become free during its claims."""
    costs = replace(COSTS, claim=Cost(300 * MICRO, MICRO), finish=Cost(300 * MICRO, MICRO))
    assert drained(ENGINES["postgres"], costs, 1, 20_000, cores=2) > 50_000


def test_a_machine_shares_its_cores() -> None:
    """Four workers of 200 us a job on two cores."""
    costs = replace(COSTS, member=200 * MICRO)
    assert drained(ENGINES["postgres"], costs, 4, 5000, cores=2) == pytest.approx(10_000, rel=0.05)


def test_a_fleet_does_what_it_is_asked() -> None:
    costs = replace(COSTS, claim=Cost(20 * MICRO, MICRO), member=10 * MICRO)
    plan = Plan(4, 1, 20, 2, rate=20_000, seconds=0.5, batch=10)
    seen = fleet(ENGINES["redis"], costs, plan, lambda _: None)
    assert seen.rate == pytest.approx(20_000, rel=0.05)
    assert 0 < seen.server_busy < 1
    assert seen.p50 <= seen.p99 < 0.05
