"""The application of the tests, with a schedule."""

from offload import current_job
from tests.worker.app import note, queue

__all__ = ["queue", "tick"]


@queue.periodic(every=1, name="tick", queue="ticks")
def tick() -> None:
    """Say which tick this is."""
    assert current_job.job.tick is not None
    note("tick", current_job.job.tick)
