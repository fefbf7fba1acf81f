"""uvicorn, in a process that counts its statements to SQLite in the file `STATEMENTS` names."""

import itertools
import mmap
import os
from pathlib import Path

import apsw
import uvicorn

SIZE = 8


def count_into(path: Path) -> None:
    """Count from now on, whichever thread and connection a statement is of."""
    path.write_bytes(bytes(SIZE))
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), SIZE)
    numbers = itertools.count(1)

    def note(_statement: str, _nanoseconds: int) -> None:
        shared[:] = next(numbers).to_bytes(SIZE, "little")

    apsw.connection_hooks.append(lambda connection: connection.set_profile(note))


def counted(path: Path) -> int:
    """Return the statements so far."""
    return int.from_bytes(path.read_bytes(), "little")


if __name__ == "__main__":
    count_into(Path(os.environ["STATEMENTS"]))
    uvicorn.main()
