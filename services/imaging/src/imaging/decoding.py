"""What runs in the process that `cell` has made for it.

Each such process holds all that is imported here: nothing that reads settings, opens a storage,
speaks HTTP or runs an event loop.
"""

import time
from dataclasses import dataclass
from math import inf
from pathlib import Path

from imaging.orders import BadImage, Limits, Order, Probe, Rendered, Report
from imaging.pipeline import probe, render
from offload import current_job

# Seconds between two reports of progress: what comes faster is merged before it is stored.
_PAUSE = 0.05


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
