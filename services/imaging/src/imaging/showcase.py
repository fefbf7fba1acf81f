"""The service proves itself: real photographs, through its own HTTP interface, to a table."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from imaging.client import Client, Unexpected

_SAMPLES = Path(__file__).parent / "samples"
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Shown:
    """One photograph and how long it took from the first byte sent to the result."""

    item: dict[str, Any]
    seconds: float


def sample_photographs() -> list[Path]:
    """List the photographs that come with the package."""
    return sorted(p for p in _SAMPLES.iterdir() if p.suffix in {".jpg", ".png"})


def show(client: Client, console: Console) -> None:
    """Put photographs through and print what became of them."""
    photographs = _wanted(client)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), console=console, transient=True
    ) as progress:
        bar = progress.add_task("processing", total=100 * len(photographs))
        shown = [
            _run(client, path, lambda done: progress.update(bar, completed=done), 100 * n)
            for n, path in enumerate(photographs)
        ]
    console.print(_table(shown))


def _wanted(client: Client) -> list[Path]:
    """Fill the gallery once; on later starts one photograph is proof enough."""
    known = {(u["filename"], u["size"]) for u in client.uploads() if u["result"]}
    photographs = sample_photographs()
    new = [path for path in photographs if (path.name, path.stat().st_size) not in known]
    return new or photographs[:1]


def _run(client: Client, path: Path, report: Any, base: int) -> Shown:
    start = time.perf_counter()
    upload_id = client.upload(path)
    for percent in client.progress(upload_id):
        report(base + percent)
    seconds = time.perf_counter() - start
    item = client.one(upload_id)
    _check(client, item)
    return Shown(item, seconds)


def _check(client: Client, item: dict[str, Any]) -> None:
    """Believe nothing: the outputs must be there, and be JPEGs of the size that was said."""
    if item["status"] != "SUCCESS":
        why = item["error"]["detail"] if item["error"] else item["status"]
        raise Unexpected(f"{item['filename']} was not processed: {why}")
    for variant, url in item["result"].items():
        data = client.download(url)
        if not data.startswith(_JPEG) or len(data) != item["outputs"][variant]["bytes"]:
            raise Unexpected(f"{url} is not the picture it should be")


def _table(shown: list[Shown]) -> Table:
    # Plain and narrow: it must fit a terminal of 80 columns.
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("image", no_wrap=True)
    for column in ("time", "original", "resized", "thumbnail"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in shown:
        outputs = one.item["outputs"]
        table.add_row(
            one.item["filename"],
            f"{one.seconds * 1000:.0f} ms",
            _measures(one.item, one.item["size"]),
            *(
                _measures(o, o["bytes"])
                for o in (outputs["resized_compressed"], outputs["thumbnail"])
            ),
        )
    return table


def _measures(size: dict[str, Any], length: int) -> str:
    return f"{size['width']}x{size['height']} {length / 1000:.0f} kB"
