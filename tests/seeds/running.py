"""Starts what the seeds start: workers and servers as processes of their own."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from fastapi import FastAPI

from offload.fastapi import lifespan

PATIENCE = 30


@contextlib.contextmanager
def started(
    folder: Path, *command: str, ready: str, hand_over: tuple[int, ...] = ()
) -> Iterator[None]:
    """Run `python -m …` and yield when it has said that it is ready; end it with Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        pass_fds=hand_over,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if ready in line:
                break
        else:
            raise AssertionError(said)
        yield
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
    finally:
        process.kill()
        # Of use only when the test has failed: pytest shows it then.
        print(*command, said + process.communicate()[1], sep="\n")  # noqa: T201


def serving(
    folder: Path, listening: socket.socket, *command: str
) -> contextlib.AbstractContextManager[None]:
    """Run uvicorn on a socket of ours: a port that is only looked for may be lost again."""
    fd = listening.fileno()
    command = ("uvicorn", *command, "--fd", str(fd))
    return started(folder, *command, ready="Application startup complete", hand_over=(fd,))


def with_worker(module: ModuleType) -> FastAPI:
    """Return a site that holds the application of one of the seed's modules, and a worker."""
    site = FastAPI(lifespan=lifespan(module.queue, worker=True))
    site.mount("/", module.app)
    return site
