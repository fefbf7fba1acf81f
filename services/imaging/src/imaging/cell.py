"""Decoding where it can do no harm: a process of its own, with limits and without secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import offload
from imaging.decoding import Fault, probed, rendered
from imaging.orders import BadImage, Limits, Order, Probe, Rendered
from offload import Abort, LimitExceeded, ProcessDied, current_job, isolated

# How much malloc keeps for itself is said in the environment, before Python starts.
ENVIRONMENT = ("MALLOC_ARENA_MAX",)

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
