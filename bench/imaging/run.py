"""`make bench-imaging`: the image service beside the same on Celery and Redis, in one run.

Each round starts each service anew, with nothing stored, and sends it the same photographs over
HTTP. Medians of interleaved rounds; absolute figures are the machine's, ratios the services'.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from bench.imaging import memory
from bench.imaging.load import Connection, form
from bench.imaging.report import into_readme, markdown
from bench.imaging.sites import PEERS, ROOT, SITES, SLOTS, Site, running, valkey

Figures = dict[str, Any]

CONNECTIONS = 4
WARM = 4
COMPARED = 3
PACKAGES = {
    sys.executable: ["apsw", "fastapi", "offload", "pyvips", "pyvips-binary", "uvicorn"],
    PEERS: ["celery", "fastapi", "pillow", "pyvips", "pyvips-binary", "redis", "uvicorn"],
}


def python(*arguments: str) -> str:
    """Run a module in a process that is gone before anything is measured; what it prints."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.stdout


def load(site: Site, mode: str, connections: int, photographs: list[Path]) -> Figures:
    """Have another process send photographs."""
    where = [str(site.port), mode, str(connections)]
    told: Figures = json.loads(python("bench.imaging.load", *where, *map(str, photographs)))
    return told


def measure(name: str, photographs: list[Path], turns: int) -> Figures:
    """Return what one service does in one round."""
    warm, first, second = _parts(photographs, turns)
    with running(name) as site:
        load(site, "flood", SLOTS, warm)
        before = _used(site)
        peaks = memory.Peaks(site.parts)
        peaks.start()
        flood = load(site, "flood", CONNECTIONS, first)
        after = _used(site)
        each = load(site, "turns", SLOTS, second)["taken"]
        held = peaks.stop()
    return {
        "rate": len(first) / flood["seconds"],
        "cpu": (after - before) / len(first),
        "accepted": statistics.median(flood["taken"]),
        "each": each,
        "memory": held,
    }


def _parts(photographs: list[Path], turns: int) -> tuple[list[Path], list[Path], list[Path]]:
    rest = photographs[WARM:]
    return photographs[:WARM], rest[turns:], rest[:turns]


def _used(site: Site) -> float:
    return sum(memory.used(root) for root in site.parts.values())


def compare(photographs: list[Path], folder: Path) -> Figures:
    """Return measures and SSIM of the outputs of each service; they must be of one size."""
    found: Figures = {}
    for name in SITES:
        with running(name) as site:
            made = [_outputs(site, path, folder) for path in photographs[:COMPARED]]
        found[name] = {kind: [each[kind] for each in made] for kind in made[0]}
    sizes = [
        [
            (each["width"], each["height"])
            for kind in sorted(found[name])
            for each in found[name][kind]
        ]
        for name in SITES
    ]
    assert all(each == sizes[0] for each in sizes), sizes
    return found


def _outputs(site: Site, photograph: Path, folder: Path) -> Figures:
    connection = Connection(site.port)  # servers close those that are silent for a while
    connection.wait(upload_id := connection.upload(form(photograph)))
    told: Figures = {}
    for kind, data in connection.outputs(upload_id).items():
        (output := folder / f"{kind}.jpg").write_bytes(data)
        told[kind] = json.loads(python("bench.imaging.likeness", str(photograph), str(output)))
    return told


def versions() -> dict[str, dict[str, str]]:
    """Return what runs on either side."""
    script = (
        "import importlib.metadata as m, json, platform, sys;"
        "print(json.dumps({'python': platform.python_version(),"
        " **{name: m.version(name) for name in sys.argv[1:]}}))"
    )
    found = {}
    for interpreter, names in PACKAGES.items():
        command = [interpreter, "-c", script, *names]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found["offload" if interpreter == sys.executable else "celery"] = json.loads(told)
    command = [valkey(), "--version"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found["celery"]["valkey"] = told.partition("v=")[2].split()[0]
    return found


def figures(rounds: int, count: int, turns: int, progress: Progress) -> Figures:
    """Measure all services in turn, round by round."""
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as name:
        folder = Path(name)
        task = progress.add_task("making photographs", total=None)
        python("bench.imaging.photographs", name, str(WARM + count + turns))
        photographs = sorted(folder.glob("photograph-*.jpg"))
        bytes_each = statistics.mean(path.stat().st_size for path in photographs)
        progress.update(task, description="comparing outputs")
        outputs = compare(photographs, folder)
        progress.remove_task(task)
        measured: dict[str, list[Figures]] = {name: [] for name in SITES}
        order = list(SITES)
        for number in progress.track(range(rounds * len(order)), description="rounds"):
            # Each round begins with another, or whoever is first would always be it.
            service = order[(number + number // len(order)) % len(order)]
            try:
                measured[service].append(measure(service, photographs, turns))
            except Exception as error:
                error.add_note(f"measuring {service!r}, round {number // len(order) + 1}")
                raise
    return {"photographs": count, "bytes": bytes_each, "services": measured, "outputs": outputs}


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main() -> None:
    """Measure, print, and keep the figures if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default 3)")
    parser.add_argument("--count", type=int, default=40, help="photographs a round (default 40)")
    parser.add_argument(
        "--turns", type=int, default=16, help="more of them, one by one (default 16)"
    )
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument(
        "--readme", action="store_true", help="put them into the README beside this"
    )
    options = parser.parse_args()
    console = Console()
    with Progress(console=console, transient=True) as progress:
        told = figures(options.rounds, options.count, options.turns, progress)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}"
    told = {"commit": _commit(), "machine": machine, "versions": versions(), **told}
    console.print(Markdown(markdown(told)))
    if options.readme:
        into_readme(told)
    if options.out is not None:
        options.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
