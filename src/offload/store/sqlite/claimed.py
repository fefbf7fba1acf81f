"""Where the jobs are that this process has claimed, so that their ends need not look them up."""

from collections.abc import Sequence

from offload.core.records import Finish
from offload.core.states import Move
from offload.store.records import Row
from offload.store.sqlite.rows import NAMES

ID, LEASE, LANE, ATTEMPT, RUN_AT, STARTED_AT = (
    NAMES.index(name) for name in ("id", "lease", "lane", "attempt", "run_at", "started_at")
)
MOST = 100_000
"""Rows kept: that of a job whose end is never reported would stay for ever."""


class Claimed:
    """The rows of jobs that are in no lane, as they were claimed, by id and lease."""

    def __init__(self) -> None:
        """Know of none."""
        self._rows: dict[tuple[str, int], Row] = {}

    def note(self, rows: Sequence[Row]) -> None:
        """Keep rows, as `claim` returned them."""
        if len(self._rows) > MOST:
            self._rows.clear()
        self._rows.update({(row[ID], row[LEASE]): row for row in rows if row[LANE] is None})

    def take(self, finishes: Sequence[Finish]) -> list[Row] | None:
        """Return the rows of jobs that end, if all of them are known and end well.

        A row is given once: a second end is none of a running job.
        """
        rows = [self._rows.pop((each.job_id, each.lease), None) for each in finishes]
        known = [
            row
            for row, each in zip(rows, finishes, strict=True)
            if row is not None and each.move is Move.COMPLETE
        ]
        return known if len(known) == len(rows) else None
