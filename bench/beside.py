"""The peers' rates, measured by scripts that run in an environment of their own."""

import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = Path(os.environ.get("OFFLOAD_PEERS", ".venv-peers/bin/python"))

HUEY_FULL = ("huey, synchronous=FULL", "huey_drain.py", 3_000, ["1", "1"])
HUEY_OFF = ("huey, synchronous=OFF", "huey_drain.py", 10_000, ["1", "0"])
TASKITO = ("taskito, synchronous=NORMAL", "taskito_drain.py", 1_500, ["8"])
PEERS = (HUEY_FULL, HUEY_OFF, TASKITO)


def drain_in_folder(script: str, count: int, arguments: list[str]) -> float:
    """Return the jobs a second of a peer that keeps them in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as folder:
        return drain(script, folder, count, arguments)


def drain(script: str, place: str, count: int, arguments: list[str]) -> float:
    """Return the jobs a second that a peer's script prints: `script PLACE COUNT ARGUMENTS`."""
    command = [str(PYTHON), str(HERE / "peers" / script), place, str(count), *arguments]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return float(done.stdout.split()[-1])
