"""`make bench`: the library beside a raw loop and beside its peers, in one run, on this machine.

Absolute figures are the machine's; the ratios are the library's. Medians of interleaved rounds.
"""

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import apsw
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from bench import beside, crowded, library, on_postgres, on_redis, raw_sqlite, requests

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"

Measure = Callable[[str], float]
Figures = dict[str, Any]

SERVERS = {"postgres": on_postgres.measured, "redis": on_redis.measured}

PAIRS: list[tuple[str, Callable[..., float], Callable[..., float], int]] = [
    ("single enqueue", library.single, raw_sqlite.insert_singly, 500),
    ("map", library.batch, raw_sqlite.insert_batch, 10_000),
    ("no-op jobs, one worker process", library.drain, raw_sqlite.drain, 20_000),
]


def in_folder(measure: Measure) -> float:
    """Measure in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as folder:
        return measure(str(Path(folder, "bench.db")))


def rates(synchronous: str, rounds: int, progress: Progress) -> Figures:
    """Measure each pair in turn, round by round."""
    found: Figures = {}
    for name, ours, raw, count in PAIRS:
        pairs = []
        for _ in progress.track(range(rounds), description=f"{name}, {synchronous}"):
            measures = (partial(f, count=count, synchronous=synchronous) for f in (ours, raw))
            pairs.append([in_folder(measure) for measure in measures])
        found[name] = {
            "offload": statistics.median(pair[0] for pair in pairs),
            "raw": statistics.median(pair[1] for pair in pairs),
            "ratio": statistics.median(pair[0] / pair[1] for pair in pairs),
        }
    return found


def peers(rounds: int, progress: Progress) -> Figures:
    """Measure the peers, round by round."""
    found: Figures = {}
    for name, script, count, arguments in beside.PEERS:
        described = progress.track(range(rounds), description=name)
        found[name] = statistics.median(
            beside.drain_in_folder(script, count, arguments) for _ in described
        )
    return found


def waiting(samples: int, progress: Progress) -> Figures:
    """Measure how soon an idle worker starts and answers, and what it costs to be idle."""
    task = progress.add_task("idle worker, another process", total=None)
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as folder:
        starts, hands = library.latencies(str(Path(folder, "bench.db")), samples)
    share = in_folder(partial(library.idle, seconds=20.0))
    beside_slow = in_folder(partial(library.fast_beside_slow, count=200))
    progress.remove_task(task)
    return {
        "enqueue to first line, ms": _percentiles(starts),
        "enqueue to result in hand, ms": _percentiles(hands),
        "idle worker, share of a core": share,
        "200 empty jobs while 5 s jobs hold 3 of 4 slots, s": beside_slow,
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000}


def markdown(figures: Figures) -> str:
    """Return the figures as tables, for the terminal and for `bench/README.md`."""
    lines = ["| SQLite | offload /s | raw loop /s | ratio |", "|---|---|---|---|"]
    for level in ("FULL", "NORMAL"):
        for name, row in figures[level].items():
            rates = f"{row['offload']:,.0f} | {row['raw']:,.0f} | {row['ratio']:.2f}"
            lines.append(f"| {name}, synchronous={level} | {rates} |")
    ours = {level: figures[level][PAIRS[2][0]]["offload"] for level in ("FULL", "NORMAL")}
    lines += [
        "",
        "| no-op jobs/s of a peer | | offload FULL | offload NORMAL |",
        "|---|---|---|---|",
    ]
    for name, rate in figures["peers"].items():
        times = " | ".join(f"{our / rate:.1f} x" for our in ours.values())
        lines.append(f"| {name} | {rate:,.0f} | {times} |")
    lines += ["", "| one worker | |", "|---|---|"]
    for name, value in {**figures["latency"], **figures["crowded"]}.items():
        parts = value if isinstance(value, dict) else {"": value}
        text = " · ".join(f"{key} {each:.3g}".strip() for key, each in parts.items())
        lines.append(f"| {name} | {text} |")
    served = [figures[name]["tables"] for name in SERVERS]
    return "\n".join([*lines, "", "\n\n".join([*served, requests.markdown(figures["requests"])])])


def into_readme(figures: Figures) -> None:
    """Put the figures between their marks in `bench/README.md`."""
    path = Path(__file__).with_name("README.md")
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{markdown(figures)}\n{END}{after}", encoding="utf-8")


def _head() -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main() -> None:
    """Measure, print, and keep the figures if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each pair (default 5)")
    parser.add_argument("--samples", type=int, default=300, help="latencies (default 300)")
    parser.add_argument("--asks", type=int, default=15, help="rounds of requests (default 15)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the crowded store")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--readme", action="store_true", help="put them into bench/README.md")
    options = parser.parse_args()
    console = Console()
    with Progress(console=console, transient=True) as progress:
        figures: Figures = {
            level: rates(level, options.rounds, progress) for level in ("FULL", "NORMAL")
        }
        figures["peers"] = peers(options.rounds, progress)
        figures["latency"] = waiting(options.samples, progress)
        figures["crowded"] = in_folder_figures(options.rows, progress)
        for name, measured in SERVERS.items():
            task = progress.add_task(f"{name}, and its peers", total=None)
            found, tables = measured(options.rounds, options.samples, options.rows)
            figures[name] = {**found, "tables": tables}
            progress.remove_task(task)
        figures["requests"] = asked(options.asks, progress)
    console.print(Markdown(markdown(figures)))
    if options.readme:
        into_readme(figures)
    if options.out is not None:
        versions = {"python": platform.python_version(), "sqlite": apsw.sqlite_lib_version()}
        report = {"commit": _head(), "versions": versions, "arguments": vars(options), **figures}
        options.out.write_text(json.dumps(report, indent=2, default=str) + "\n")


def in_folder_figures(rows: int, progress: Progress) -> Figures:
    """Measure with `rows` finished and as many pending rows beside an empty store."""
    task = progress.add_task(f"{rows:,} finished and pending rows", total=None)
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as folder:
        figures = crowded.figures(Path(folder), rows)
    progress.remove_task(task)
    return figures


def asked(rounds: int, progress: Progress) -> Figures:
    """Measure what scheduling a request task costs, beside the peers."""
    task = progress.add_task("requests that schedule a task", total=None)
    found = requests.figures(rounds)
    progress.remove_task(task)
    return found


if __name__ == "__main__":
    main()
