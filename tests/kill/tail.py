"""What the harness must know of a history that is still being written."""

from pathlib import Path

from tests.kill.history import Event, Left, Process, Stored, decode


class Tail:
    """Reads what has been appended since the last look."""

    def __init__(self, path: Path, shards: int) -> None:
        """Follow the history at `path`, whose jobs come from so many producers."""
        self.workers: set[str] = set()
        """Workers that have begun to run something."""
        self.left = 0
        """How many functions have ended."""
        self._stored: set[str] = set()
        self._missing = list(range(shards))
        self._lines = path.open("rb")
        self._rest = b""

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()

    def look(self) -> None:
        """Take in the lines that are whole."""
        *lines, self._rest = (self._rest + self._lines.read()).split(b"\n")
        for line in lines:
            self._take(decode(line))

    def _take(self, event: Event) -> None:
        match event:
            case Process(worker=worker):
                self.workers.add(worker)
            case Left():
                self.left += 1
            case Stored(job=job):
                self._stored.add(job)

    def first_missing(self, shard: int) -> int:
        """Return the first number of a shard whose enqueue is not known to have returned."""
        while f"j{self._missing[shard]}" in self._stored:
            self._missing[shard] += len(self._missing)
        return self._missing[shard]
