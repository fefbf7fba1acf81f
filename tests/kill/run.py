"""Kill and stop real workers and producers while they work, and have the history checked.

    python -m tests.kill.run --jobs 100000 --workers 4 --kills 2000 --stops 1000 --out FILE
    python -m tests.kill.run --store postgres --cuts 40 --outages 40

The history is stored beside the report, compressed, and `python -m tests.kill.check` reads it.
"""

import asyncio
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from tests.kill.harness import Harness, Load
from tests.kill.history import read
from tests.kill.places import PLACES
from tests.kill.report import show, store as written
from tests.kill.rules import check


def main(
    jobs: int = 3000,
    workers: int = 4,
    kills: int = 30,
    stops: int = 15,
    *,
    producers: int = 2,
    producer_kills: Annotated[
        int | None, typer.Option(help="A quarter of --kills if not given.")
    ] = None,
    seed: int = 0,
    lease: Annotated[float, typer.Option(help="Seconds.")] = 1.5,
    rest: Annotated[
        float, typer.Option(help="Seconds that a worker is left alone, on average.")
    ] = 0.5,
    store: Annotated[str, typer.Option(help=f"One of {', '.join(PLACES)}.")] = "sqlite",
    cuts: Annotated[int, typer.Option(help="Faults of what leads to the server.")] = 0,
    outages: Annotated[int, typer.Option(help="Times that the server is killed.")] = 0,
    calm: Annotated[
        float, typer.Option(help="Seconds that the server is left alone, on average.")
    ] = 3.0,
    out: Annotated[Path | None, typer.Option(help="Where the report goes.")] = None,
) -> None:
    """Run the load under faults, check what happened, and exit with 1 if a promise was broken."""
    if store == "sqlite" and (cuts or outages):
        raise typer.BadParameter("a file has no server: name one with --store")
    load = Load(
        jobs=jobs,
        workers=workers,
        producers=producers,
        kills=kills,
        stops=stops,
        producer_kills=kills // 4 if producer_kills is None else producer_kills,
        seed=seed,
        lease=lease,
        rest=rest,
        store=store,
        cuts=cuts,
        outages=outages,
        calm=calm,
    )
    sys.exit(played(load, out))


def played(load: Load, out: Path | None) -> int:
    """Run and judge it, and return the exit code."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="offload-kill-") as name:
        folder = Path(name).resolve()
        with Progress(console=console) as progress, closing(Harness(load, folder)) as harness:
            seconds = asyncio.run(harness.run(progress))
            versions = harness.place.versions()
        history = folder / "history"
        findings = check(read(history))
        if out is not None:
            written(out, load, findings, history, seconds=seconds, versions=versions)
        if findings.violations:
            console.print((folder / "log").read_text()[-20_000:], markup=False, highlight=False)
    show(console, findings)
    return 1 if findings.violations else 0


if __name__ == "__main__":
    typer.run(main)
