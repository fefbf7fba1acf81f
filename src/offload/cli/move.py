"""`offload move`: from one store to another, while programs go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from offload.cli.mover import Movable, Moved, Mover, outlook
from offload.cli.options import JsonOption
from offload.cli.output import Failed, emit, facts, say
from offload.store.base import Moving
from offload.store.health import Level
from offload.store.open import examine, is_there, open_store, without_password

FromOption = Annotated[
    str,
    typer.Option(
        "--from", metavar="URL", help="The store to empty: sqlite:///jobs.db, redis://…, or a path."
    ),
]
ToOption = Annotated[
    str, typer.Option("--to", metavar="URL", help="The store to fill: postgresql://host/name, …")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only say what there is to move; change nothing.")
]
FollowOption = Annotated[
    bool,
    typer.Option("--follow", help="Go on for what still comes in, until Ctrl-C."),
]


def move(
    source: FromOption,
    target: ToOption,
    *,
    dry_run: DryRunOption = False,
    follow: FollowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Move jobs, schedules, dead letters and history to another store, while programs go on.

    Workers of the old store end what they run, and begin nothing more.
    If it is interrupted, start it again: it goes on.

    Example: offload move --from jobs.db --to postgresql://db/app
    """
    if source == target:
        raise typer.BadParameter("--from and --to are the same store")
    if not is_there(open_store(source)):
        raise Failed(f"{source} is not there")
    _require_sound(target)
    try:
        moved = asyncio.run(_looked(source) if dry_run else _moved(source, target, follow))
    except KeyboardInterrupt:
        raise Failed("stopped; start it again, and it goes on") from None
    if as_json:
        emit({"dry_run": dry_run, **asdict(moved)})
    elif dry_run:
        _foretell(moved)
    else:
        say(
            f"moved {moved.jobs:,} jobs, {moved.letters:,} dead letters and "
            f"{moved.schedules:,} schedules; nothing is left"
        )


async def _moved(source: str, target: str, follow: bool) -> Moved:  # noqa: FBT001 - as it was asked
    async with _opened(source) as old, _opened(target) as new:
        there = await outlook(old)
        with _progress() as progress:
            task = progress.add_task("jobs", total=there.jobs)

            def tell(moved: Moved) -> None:
                total = moved.jobs + moved.waiting + moved.running
                waits = f"jobs, {moved.running:,} still run" if moved.running else "jobs"
                progress.update(task, completed=moved.jobs, total=total, description=waits)

            return await Mover(old, new, tell).run(follow=follow)


async def _looked(source: str) -> Moved:
    async with _opened(source) as old:
        return await outlook(old)


def _require_sound(target: str) -> None:
    """Refuse a store with faults, without making it: that it is not there yet is none."""
    faults = [each for each in examine(open_store(target)) if each.level is Level.WRONG]
    reasons = "; ".join(f"{each.check}: {each.found}" for each in faults if each.check != "file")
    if reasons:
        raise Failed(f"{without_password(target)} cannot be moved to: {reasons}")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Movable]:
    store = open_store(url)
    if not isinstance(store, Moving) or store.capabilities.url is None:
        raise Failed(f"{without_password(url)}: nothing can be moved from or to such a store")
    await store.open()
    try:
        yield cast("Movable", store)
    finally:
        await store.close()


def _progress() -> Progress:
    """Return a bar on stderr, so that stdout stays one document."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)


def _foretell(there: Moved) -> None:
    facts(
        {
            "jobs": f"{there.jobs:,}",
            "of which run": f"{there.running:,}, and are moved when they have ended",
            "dead letters": f"{there.letters:,}",
            "schedules": f"{there.schedules:,}",
        }
    )
    say("nothing was changed")
