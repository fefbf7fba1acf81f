"""Plays as many steps as are asked for, and writes down what was played.

    python -m tests.store.play --steps 1000000 --seed 1 --out report.json

The same seed plays the same histories; the digest, of all answers, says whether it did.
"""

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from importlib.metadata import version
from itertools import count, islice
from pathlib import Path

import apsw
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tests.servers import postgres, valkey
from tests.store.machine import Histories
from tests.store.pair import COUNTS, Counts

HISTORIES = 100
"""Hypothesis remembers what it has tried, so that one endless run would grow and grow."""
STEPS = 50


def play(start: int, driver: str, processes: int) -> Generator[Counts]:
    """Play rounds of histories without end, several at a time; tell of each in its order.

    So the processes change nothing but the time.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        rounds = (pool.submit(play_round, start * 1_000_000 + n, driver) for n in count())
        ahead = deque(islice(rounds, processes))
        try:
            while True:
                yield ahead.popleft().result()
                ahead.append(next(rounds))
        finally:
            pool.shutdown(cancel_futures=True)


def play_round(start: int, driver: str) -> Counts:
    """Play so many histories, in a process that may have played others before."""
    Histories.driver = driver
    COUNTS.take()
    run_state_machine_as_test(
        seed(start)(Histories),
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            derandomize=False,
            phases=[Phase.generate, Phase.shrink],
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return COUNTS.take()


def commit() -> str:
    """Return the commit that was played, and whether the tree had changes."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


def report(asked: argparse.Namespace, seconds: float) -> dict[str, object]:
    """Return what was played, for a machine to read."""
    return {
        "seed": asked.seed,
        "driver": asked.driver,
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("offload", "hypothesis", "apsw")},
            "sqlite": apsw.sqlite_lib_version(),
        },
        "steps": COUNTS.steps,
        "histories": COUNTS.histories,
        "seconds": round(seconds, 1),
        "processes": asked.processes,
        "transitions": dict(COUNTS.transitions),
        "operations": dict(sorted(COUNTS.operations.items())),
        "faults": {str(fault): count for fault, count in sorted(COUNTS.faults.items())},
        "rarest": min((count, name) for counts in COUNTS.kinds() for name, count in counts.items()),
        "digest": COUNTS.digest.hex(),
    }


def main() -> None:
    """Read the command line, play, and report, also of what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.store.play", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--driver", choices=["sqlite", "memory", "postgres", "redis"], default="sqlite"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    with ExitStack() as kept:
        driver = asked.driver
        if driver == "postgres":
            server = kept.enter_context(postgres.running())
            driver = kept.enter_context(postgres.database(server))
        elif driver == "redis":
            driver = kept.enter_context(valkey.running())
        _played(asked, driver)


def _played(asked: argparse.Namespace, driver: str) -> None:
    began = time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    failed = None
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("steps", total=asked.steps)
        try:
            with closing(play(asked.seed, driver, asked.processes)) as rounds:
                while COUNTS.steps < asked.steps:
                    COUNTS.add(next(rounds))
                    progress.update(bar, completed=COUNTS.steps)
        except BaseException as error:
            failed = repr(error)
            raise
        finally:
            told = report(asked, time.monotonic() - began)
            asked.out.write_text(json.dumps({**told, "failed": failed}, indent=2) + "\n")


if __name__ == "__main__":
    main()
