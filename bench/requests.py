"""What it costs a request to schedule one empty task for after its response.

The same endpoint, as FastAPI serves it with its own BackgroundTasks, with fastapi-tasks, with
this library, and with nothing to schedule; each under uvicorn in a process of its own, with the
same versions, asked in turn by a client in another process.
`python -m bench.requests` prints the figures of this alone.
"""

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import beside

ROOT = Path(__file__).parents[1]
CONNECTIONS = 16
KINDS = {
    "bare": sys.executable,
    "BackgroundTasks": sys.executable,
    "offload": sys.executable,
    "fastapi-tasks": str(beside.PYTHON),
}
"""Each with the Python that has it."""

Figures = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A server of one kind."""

    kind: str
    port: int
    server: subprocess.Popen[str]

    def told(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/told") as answer:
            said: dict[str, Any] = json.load(answer)
        return said

    def measure(self, count: int) -> tuple[float, float]:
        """Return the requests a second, and the server's processor time for each in us."""
        before = self.told()
        where = [str(self.port), "/work", str(count), str(CONNECTIONS)]
        command = [sys.executable, "-m", "bench.load", *where]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        after = self._when_ran(before["ran"] + count)
        return count / float(done.stdout), (after["cpu"] - before["cpu"]) / count * 1e6

    def _when_ran(self, total: int) -> dict[str, Any]:
        """Return what the server says when all tasks have run: none may be left for later."""
        while (said := self.told())["ran"] < total:
            time.sleep(0.01)
        assert said["ran"] == total, said
        return said


@contextlib.contextmanager
def site(kind: str, under: Sequence[str] = ()) -> Iterator[Site]:
    """Run a server of one kind. Its socket listens already, so that nobody need wait for it.

    `under` is a command that runs it, and whose errors are kept.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = listening.fileno()
        script = str(ROOT / "bench" / "peers" / "web.py")
        server = subprocess.Popen(
            [*under, KINDS.get(kind, sys.executable), script, kind, str(descriptor)],
            pass_fds=[descriptor],
            stderr=subprocess.PIPE if under else None,
            text=True,
        )
        port = listening.getsockname()[1]
    try:
        yield Site(kind, port, server)
    finally:
        server.terminate()
        server.wait()


def figures(rounds: int, count: int = 2_000) -> Figures:
    """Measure all kinds in turn, round by round; medians, and those of the rounds' ratios."""
    with contextlib.ExitStack() as stack:
        sites = [stack.enter_context(site(kind)) for kind in KINDS]
        versions = [each.told()["versions"] for each in sites]
        assert all(each == versions[0] for each in versions), versions
        for each in sites:
            each.measure(count)  # warm
        found = [_round(sites, number, count) for number in range(rounds)]
    rows = {kind: _row([each[kind] for each in found]) for kind in KINDS}
    for kind in KINDS:
        rows[kind]["offload / this"] = statistics.median(
            each["offload"][0] / each[kind][0] for each in found
        )
        rows[kind]["by CPU"] = statistics.median(
            each[kind][1] / each["offload"][1] for each in found
        )
    return {"rows": rows, "http": "uvicorn on h11 and asyncio", "versions": versions[0]}


def _round(sites: list[Site], number: int, count: int) -> dict[str, tuple[float, float]]:
    first = number % len(sites)  # or whoever is first would always meet the same neighbour
    return {each.kind: each.measure(count) for each in [*sites[first:], *sites[:first]]}


def _row(measures: list[tuple[float, float]]) -> dict[str, float]:
    rates, costs = zip(*measures, strict=True)
    return {"requests/s": statistics.median(rates), "us": statistics.median(costs)}


def markdown(found: Figures) -> str:
    """Return the figures as a table."""
    lines = [
        "| one empty task after it | requests/s | offload / this | CPU, us | offload / this |",
        "|---|---|---|---|---|",
    ]
    for kind, row in found["rows"].items():
        rates = f"{row['requests/s']:,.0f} | {row['offload / this']:.2f}"
        lines.append(f"| {kind} | {rates} | {row['us']:.0f} | {row['by CPU']:.2f} |")
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return "\n".join([*lines, "", f"Served by {found['http']}; {versions}."])


if __name__ == "__main__":
    print(markdown(figures(int(sys.argv[1]) if sys.argv[1:] else 15)))
