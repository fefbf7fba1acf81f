"""`make bench-scaling`: what a job costs each kind of server, and what a thousand workers do.

Measures one server with one to four workers, predicts the same with the simulation, and only then
lets that run a fleet. Absolute figures are the machine's.
"""

import argparse
import asyncio
import json
import os
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from bench.scaling import measure
from bench.scaling.fleet import ENGINES, Plan, Seen, drained, fleet
from bench.scaling.model import Costs

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
ROOT = Path(__file__).parents[2]
JOBS = 40_000
BUSY = 0.7
"""The share of a server's time up to which it is planned."""

Figures = dict[str, Any]


def one_server(name: str, rounds: int, progress: Progress) -> tuple[Figures, Costs]:
    """Return what calls cost, and the curve as it was measured and as it is predicted."""
    task = progress.add_task(ENGINES[name].name, total=rounds * len(measure.WORKERS) + 1)
    with measure.running(name) as server:
        calls = asyncio.run(measure.calls(server))
    progress.advance(task)
    seen: dict[int, list[measure.Drained]] = {workers: [] for workers in measure.WORKERS}
    for _ in range(rounds):
        for workers in measure.WORKERS:
            with measure.running(name) as server:
                seen[workers].append(measure.drain(server, workers, JOBS))
            progress.advance(task)
    alone = measure.Drained(
        *(statistics.median(each) for each in zip(*map(_values, seen[1]), strict=True))
    )
    costs = measure.costs(calls, alone)
    cores = len(os.sched_getaffinity(0))
    # What is measured call by call is not all: the producer, hearts, the kernel, and caches that
    # processes take from each other. One worker tells how much that is; others are foretold.
    factor = drained(ENGINES[name], costs, 1, JOBS, cores=cores) / alone.rate
    costs = costs.times(factor)
    curve = {}
    for workers, found in seen.items():
        measured = statistics.median(each.rate for each in found)
        predicted = drained(ENGINES[name], costs, workers, JOBS, cores=cores)
        curve[workers] = {
            "measured": measured,
            "simulated": predicted,
            "ratio": predicted / measured,
        }
    return {"factor": factor, "costs": asdict(costs), "curve": curve}, costs


def _values(seen: measure.Drained) -> tuple[float, float, float]:
    return seen.rate, seen.supervisor, seen.member


def plan(name: str, costs: Costs, workers: int, rate: float, seconds: float) -> Plan:
    """Return as many servers as `rate` keeps busy for the share of their time that is planned."""
    cores = 1 if ENGINES[name].is_single else 8
    batch = 100
    each = costs.enqueue.job + costs.enqueue.call / batch + costs.claim.job + costs.finish.job
    # A claim or an end of a busy worker is of some ten jobs.
    each += (costs.claim.call + costs.finish.call) / 10
    return Plan(
        shards=max(1, round(rate * each / cores / BUSY + 0.5)),
        server_cores=cores,
        workers=workers,
        worker_cores=2,
        rate=rate,
        seconds=seconds,
        batch=batch,
        duration=0.002,
    )


def many(name: str, costs: Costs, options: argparse.Namespace, progress: Progress) -> Figures:
    """Return what a fleet does under the load that is asked for."""
    wanted = plan(name, costs, options.workers, options.rate, options.seconds)
    described = f"{wanted.workers:,} workers on {wanted.shards} x {ENGINES[name].name}"
    task = progress.add_task(described, total=1.0)
    seen = fleet(ENGINES[name], costs, wanted, lambda share: progress.update(task, completed=share))
    return {"plan": asdict(wanted), "seen": asdict(seen)}


def markdown(figures: Figures) -> str:
    """Return the figures as tables."""
    lines = [
        "| processor, us | enqueue | claim | end | worker: claim | worker: end | member | factor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in figures.items():
        costs = found["costs"]
        cells = [
            f"{costs[each]['call'] * 1e6:.0f} + {costs[each]['job'] * 1e6:.1f} n"
            for each in ("enqueue", "claim", "finish", "claim_here", "finish_here")
        ]
        row = " | ".join([*cells, f"{costs['member'] * 1e6:.1f} | {found['factor']:.2f}"])
        lines.append(f"| {ENGINES[name].name} | {row} |")
    lines += [
        "",
        "| one server, jobs/s | workers | measured | simulated | ratio |",
        "|---|---|---|---|---|",
    ]
    for name, found in figures.items():
        for workers, row in found["curve"].items():
            lines.append(
                f"| {ENGINES[name].name} | {workers} | {row['measured']:,.0f} "
                f"| {row['simulated']:,.0f} | {row['ratio']:.2f} |"
            )
    lines += [
        "",
        "| fleet, simulated | servers | workers | asked /s | done /s | wait p50 / p99, ms | busy |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in figures.items():
        asked, seen = Plan(**found["fleet"]["plan"]), Seen(**found["fleet"]["seen"])
        cores = f"{asked.shards} of {asked.server_cores} cores"
        lines.append(
            f"| {ENGINES[name].name} | {cores} | {asked.workers:,} | {asked.rate:,.0f} "
            f"| {seen.rate:,.0f} | {seen.p50 * 1000:.1f} / {seen.p99 * 1000:.1f} "
            f"| servers {seen.server_busy:.0%}, workers {seen.worker_busy:.0%} |"
        )
    return "\n".join(lines)


def into_page(figures: Figures) -> None:
    """Put the figures between their marks in `docs/scaling.md`."""
    path = ROOT / "docs" / "scaling.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{markdown(figures)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measure, simulate, print, and keep the figures if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", nargs="*", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default 3)")
    parser.add_argument("--workers", type=int, default=1000, help="of the fleet (default 1,000)")
    parser.add_argument("--rate", type=float, default=1e6, help="jobs/s (default 1,000,000)")
    parser.add_argument("--seconds", type=float, default=0.3, help="of virtual time (default 0.3)")
    parser.add_argument("--page", action="store_true", help="put them into docs/scaling.md")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    console, figures = Console(), Figures()
    with Progress(console=console, transient=True) as progress:
        for name in options.stores:
            found, costs = one_server(name, options.rounds, progress)
            figures[name] = {**found, "fleet": many(name, costs, options, progress)}
    console.print(Markdown(markdown(figures)))
    if options.page:
        into_page(figures)
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
