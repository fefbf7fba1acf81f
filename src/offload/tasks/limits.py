"""What the process of a task may use: `executor="process", limits=Limits(memory="512 MB")`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from offload.core.errors import ConfigurationError
from offload.core.options import is_number

UNITS = {
    "": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30,
}  # fmt: skip
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMG]I?B)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one run of a process task. They stop mistakes, not an attacker.

    Args:
        memory: bytes, or as "512 MB" or "2 GiB". Counts the private memory that the process can
            write to, the interpreter and its modules included; each process that the function
            starts may have as much again.
        cpu: seconds of processor time, of all threads together; waiting costs nothing.
        network: False runs the function where no network can be reached, not even this host's.
        env: names of environment variables that the process gets as well. Under limits it gets
            only PATH, HOME, TMPDIR, VIRTUAL_ENV, PYTHON… and those of language and time zone.
    """

    memory: int | str | None = None
    cpu: float | None = None
    network: bool = True
    env: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse wrong values where they are written.

        Raises:
            ConfigurationError: naming the limit and what it may be.
        """
        if isinstance(self.env, str):
            raise ConfigurationError(f"env={self.env!r}: must be a list of names")
        object.__setattr__(self, "env", tuple(self.env))  # hashable, like the rest
        if self.cpu is not None and not (is_number(self.cpu) and 0 < self.cpu < inf):
            raise ConfigurationError(f"cpu={self.cpu!r}: must be a number of seconds above 0")
        if self.memory is not None:
            object.__setattr__(self, "memory", _bytes(self.memory))

    @property
    def most_bytes(self) -> int | None:
        """The memory in bytes."""
        return None if self.memory is None else int(self.memory)

    def __str__(self) -> str:
        """Show what is limited, for errors."""
        said = []
        if self.most_bytes is not None:
            said.append(f"memory={shown(self.most_bytes)}")
        if self.cpu is not None:
            said.append(f"cpu={self.cpu:g} s")
        if not self.network:
            said.append("no network")
        return ", ".join(said) or "none"


def shown(size: int) -> str:
    """Return bytes for people."""
    return f"{size / 10**6:,.0f} MB" if size >= 10**6 else f"{size:,} bytes"


def _bytes(size: int | str) -> int:
    found = SIZE.fullmatch(str(size).strip())
    if type(size) not in (int, str) or found is None or float(found[1]) == 0:
        raise ConfigurationError(f"memory={size!r}: must be bytes, or as in '512 MB' or '2 GiB'")
    return round(float(found[1]) * UNITS[(found[2] or "").upper()])
