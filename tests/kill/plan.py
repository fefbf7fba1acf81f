"""What job number n of a run is, from the seed alone: a producer that starts again asks the same.

Most jobs are plain and short. The rest fail, wait, hold a key, are cancelled, or kill their
process; some run longer than a lease.
"""

import random
from dataclasses import dataclass
from typing import Any

RETRIES = 20
"""So many that only three deaths of its process, or its own plan, end a job early."""
BACKOFF = 0.05
KEYS = 20

WEIGHTS = {
    "plain": 70.0,
    "flaky": 10.0,
    "doomed": 3.0,
    "abort": 2.0,
    "unique": 7.0,
    "late": 4.0,
    "cancelled": 4.0,
    "poison": 0.05,
}
TASKS = {"in_thread": 50, "in_loop": 35, "in_process": 15}


@dataclass(frozen=True, slots=True)
class Wish:
    """A job to ask for; `seconds` is how long its function takes."""

    job: str
    task: str
    kind: str
    seconds: float
    options: dict[str, Any]

    @property
    def attempts(self) -> int:
        """How often it may be tried."""
        return int(self.options["max_retries"]) + 1


def wish(seed: int, number: int, lease: float) -> Wish:
    """Return job number `number` of the run with this seed."""
    rng = random.Random(f"{seed}-{number}")
    [kind] = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
    [task] = rng.choices(list(TASKS), list(TASKS.values()))
    options: dict[str, Any] = {
        "job_id": f"j{number}",
        "priority": rng.randrange(3),
        "max_retries": 1 if kind == "doomed" else RETRIES,
        "retry_backoff": BACKOFF,
    }
    if kind == "unique":
        options["unique_key"] = f"k{rng.randrange(KEYS)}"
    if kind == "late" or (kind == "cancelled" and rng.random() < 0.5):
        options["delay"] = round(rng.uniform(0.1, 1.0), 3)
    if kind == "poison" and task == "in_loop":
        task = "in_process"  # dies alone; in a thread it takes its neighbours along
    return Wish(f"j{number}", task, kind, _seconds(rng, lease), options)


def _seconds(rng: random.Random, lease: float) -> float:
    # One of two hundred outlives its lease, which the worker's beats must keep alive.
    if rng.random() < 0.005:
        return lease * rng.uniform(1.5, 3.0)
    return min(lease, rng.expovariate(1 / 0.06))
