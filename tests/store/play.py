"""Plays as many steps as are asked for, and writes down what was played.

    python -m tests.store.play --steps 1000000 --seed 1 --out report.json

The same seed plays the same histories; the digest, of all answers, says whether it did.
"""

import argparse
import json
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import apsw
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tests.servers.postgres import database, running
from tests.store.machine import Histories
from tests.store.pair import COUNTS, Pair

HISTORIES = 100
"""Hypothesis remembers what it has tried, so that one endless run would grow and grow."""
STEPS = 50


def play(steps: int, start: int) -> None:
    """Play rounds of histories until there were enough steps."""
    rounds = 0
    while COUNTS.steps < steps:
        run_state_machine_as_test(
            seed(start * 1_000_000 + rounds)(Histories),
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
        rounds += 1


def commit() -> str:
    """Return the commit that was played, and whether the tree had changes."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


def report(start: int, driver: str, seconds: float) -> dict[str, object]:
    """Return what was played, for a machine to read."""
    return {
        "seed": start,
        "driver": driver,
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("offload", "hypothesis", "apsw")},
            "sqlite": apsw.sqlite_lib_version(),
        },
        "steps": COUNTS.steps,
        "histories": COUNTS.histories,
        "seconds": round(seconds, 1),
        "transitions": dict(COUNTS.transitions),
        "operations": dict(sorted(COUNTS.operations.items())),
        "faults": {str(fault): count for fault, count in sorted(COUNTS.faults.items())},
        "rarest": min((count, name) for counts in COUNTS.kinds() for name, count in counts.items()),
        "digest": COUNTS.digest.hexdigest(),
    }


def main() -> None:
    """Read the command line, play, and report, also of what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.store.play", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--driver", choices=["sqlite", "memory", "postgres"], default="sqlite")
    asked = parser.parse_args()
    Histories.driver = asked.driver
    if asked.driver == "postgres":
        with running() as server, database(server) as Pair.server:
            _played(asked)
    else:
        _played(asked)


def _played(asked: argparse.Namespace) -> None:
    began = time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    failed = None
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("steps", total=asked.steps)
        COUNTS.told = lambda: progress.update(bar, completed=COUNTS.steps)
        try:
            play(asked.steps, asked.seed)
        except BaseException as error:
            failed = repr(error)
            raise
        finally:
            told = report(asked.seed, asked.driver, time.monotonic() - began)
            asked.out.write_text(json.dumps({**told, "failed": failed}, indent=2) + "\n")


if __name__ == "__main__":
    main()
