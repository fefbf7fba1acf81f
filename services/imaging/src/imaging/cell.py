"""Decoding where it can do no harm: a process of its own, with limits and without secrets.

The functions that run there stand here, and import nothing that reads settings, opens a
storage or speaks HTTP.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import offload
from imaging.orders import BadImage, Limits, Order, Probe, Rendered, Report
from imaging.pipeline import probe, render
from offload import Abort, LimitExceeded, ProcessDied, current_job, isolated

# How much malloc keeps for itself is said in the environment, before Python starts.
ENVIRONMENT = ("MALLOC_ARENA_MAX",)

# Seconds between two reports of progress: what comes faster is merged before it is stored.
_PAUSE = 0.05

_TOO_COMPLEX = (
    "too_complex",
    "This picture takes more memory or time to process than one picture may.",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one picture may take: bytes (or "1 GB"), seconds of processor and on the wall."""

    memory: int | str
    cpu: float
    seconds: float
    network: bool = False

    @property
    def limits(self) -> offload.Limits:
        """Say it to the library."""
        return offload.Limits(
            memory=self.memory, cpu=self.cpu, network=self.network, env=ENVIRONMENT
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """What :class:`BadImage` says, as it leaves the process."""

    code: str
    detail: str


def rendered(path: Path, limits: Limits, orders: list[Order]) -> Rendered | Fault:
    """Run :func:`render` for a job."""
    try:
        return render(path, limits, orders, _seldom(current_job.update_progress))
    except BadImage as error:
        return Fault(error.code, error.detail)


def _seldom(report: Report) -> Report:
    """Leave out what nobody could see: each report costs both processes a little."""
    last = -inf

    def told(percent: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PAUSE:
            last = now
            report(percent)

    return told


def probed(path: Path, limits: Limits) -> Probe | Fault:
    """Run :func:`probe`."""
    try:
        return probe(path, limits)
    except BadImage as error:
        return Fault(error.code, error.detail)


async def render_in(cell: Cell, path: Path, limits: Limits, orders: Sequence[Order]) -> Rendered:
    """Render in a process that can reach nothing but these files, for the current job.

    Raises ``Abort`` where the picture is at fault, for the same bytes would fail the same way.
    A process that dies gets one more attempt: somebody else may have killed it.
    """
    try:
        found = await isolated(
            rendered, path, limits, list(orders), limits=cell.limits, timeout=cell.seconds
        )
    except (LimitExceeded, ProcessDied, TimeoutError) as error:
        current_job.log(str(error), "warning")
        if isinstance(error, ProcessDied) and not current_job.retry_count:
            raise
        raise Abort(": ".join(_TOO_COMPLEX)) from error
    if isinstance(found, Fault):
        raise Abort(f"{found.code}: {found.detail}")
    return found


async def probe_in(cell: Cell, path: Path, limits: Limits) -> Probe:
    """Read a header in such a process: a parser that crashes must not take the service along.

    Raises :class:`BadImage`.
    """
    try:
        found = await isolated(probed, path, limits, limits=cell.limits, timeout=cell.seconds)
    except (LimitExceeded, ProcessDied, TimeoutError) as error:
        raise BadImage(*_TOO_COMPLEX) from error
    if isinstance(found, Fault):
        raise BadImage(found.code, found.detail)
    return found
