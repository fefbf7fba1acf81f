"""The ``imaging`` command: ``run`` serves until Ctrl-C, ``demo`` shows the same and ends.

``worker`` processes pictures beside services that only answer.
"""

import argparse
import asyncio
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib.metadata import version

import uvicorn
from pydantic import ValidationError
from rich.console import Console

from imaging.client import Client
from imaging.settings import Settings
from imaging.showcase import show
from imaging.storage import open_storage
from offload import OffloadError, Queue

# A page that is open holds its streams for ever; ending must not wait for it.
_GRACE_SECONDS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line; what it returns is the exit code."""
    parser = argparse.ArgumentParser(prog="imaging", description=__doc__)
    parser.add_argument("--version", action="version", version=f"imaging {version('imaging')}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start the service and serve until Ctrl-C")
    run.add_argument("--port", type=int, help="default: IMAGING_PORT, or 8000")
    commands.add_parser("demo", help="put photographs through a service of its own, then end")
    commands.add_parser(
        "worker", help="process pictures until Ctrl-C; takes the options of `offload worker`"
    )
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command != "worker":
        parser.error(f"unknown: {' '.join(rest)}")
    # Each worker's memory stays low this way, and children read it before Python starts.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    try:
        if arguments.command == "demo":
            return _demo()
        settings = Settings()
        _check(settings)
        return _work(rest) if arguments.command == "worker" else _run(settings, arguments.port)
    except ValidationError as error:
        return _fail(_explained(error))
    except (OSError, ModuleNotFoundError, OffloadError) as error:
        return _fail(str(error))


def _check(settings: Settings) -> None:
    """Find out now what would be a traceback later: no such folder, bucket or server."""
    open_storage(settings).check()
    queue = Queue(settings.queue)
    asyncio.run(queue.aopen())
    queue.close()


def _run(settings: Settings, port: int | None) -> int:
    return _serve(settings.host, settings.port if port is None else port, _key(settings), stay=True)


def _work(options: Sequence[str]) -> int:
    # In this process's place, so that signals reach the worker itself.
    command = [sys.executable, "-m", "offload", "worker", "--app", "imaging.work:queue", *options]
    os.execv(sys.executable, command)  # noqa: S606 -- our own interpreter, and no shell


def _demo() -> int:
    with tempfile.TemporaryDirectory(prefix="imaging-demo-") as folder:
        # The environment, because that is what the workers' children read as well.  What is
        # shared with others is none of a demonstration's business.
        for name in [n for n in os.environ if n.startswith(("IMAGING_QUEUE_", "IMAGING_S3_"))]:
            del os.environ[name]
        os.environ["IMAGING_DATA_DIR"] = folder
        return _serve("127.0.0.1", 0, _key(Settings()), stay=False)


def _key(settings: Settings) -> str | None:
    """Give the key with which we are our own client, if one is asked for."""
    return next(iter(settings.keys.values()), None)


def _serve(host: str, port: int, key: str | None, *, stay: bool) -> int:
    try:
        listener = _listen(host, port)
    except OSError as error:
        return _fail(
            f"cannot listen on {host}:{port}: {error.strerror}. "
            "Choose another port with --port or IMAGING_PORT."
        )
    # By name, so that the application reads its settings after we have made them.
    config = uvicorn.Config(
        "imaging.app:app", log_level="warning", timeout_graceful_shutdown=_GRACE_SECONDS
    )
    logging.getLogger("uvicorn.error").addFilter(_worth_telling)
    server = uvicorn.Server(config)
    _, bound = listener.getsockname()[:2]
    showing = Showing(server, Client(host, bound, key), stay=stay)
    showing.start()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        # uvicorn has shut down in order and passes the signal on; it was the way to end.
        pass
    finally:
        listener.close()
    return _fail(showing.failure) if showing.failure else int(not server.started)


class Showing(threading.Thread):
    """Tries the service out from beside it, and tells the user where it is."""

    def __init__(self, server: uvicorn.Server, client: Client, *, stay: bool) -> None:
        super().__init__(name="showing", daemon=True)
        self.failure: str | None = None
        self._server = server
        self._client = client
        self._stay = stay

    def run(self) -> None:
        """Show, then either leave the service alone or end it."""
        console = Console()
        try:
            show(self._client, console)
            if self._stay:
                host, port = self._client.address
                console.print(f"\nOpen http://{host}:{port}/   (Ctrl-C ends it)\n", highlight=False)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the user is told
            # Not a fault of the service if the user has ended it meanwhile.
            self.failure = None if self._server.should_exit else str(error) or repr(error)
        if self.failure or not self._stay:
            self._server.should_exit = True


def _worth_telling(record: logging.LogRecord) -> bool:
    """Drop what uvicorn says of the requests that it cuts off because we end it."""
    cut_off = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut_off and "graceful shutdown exceeded" not in record.getMessage()


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything else is started, so a taken port costs one line and no mess."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # From here on a client may connect: it waits until the application is ready.
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _explained(error: ValidationError) -> str:
    return "; ".join(_fault(str(e["msg"]), *e["loc"]) for e in error.errors())


def _fault(said: str, *place: int | str) -> str:
    # Pydantic puts its own words before ours; what concerns several settings has no place.
    plain = said.removeprefix("Value error, ")
    return f"IMAGING_{str(place[0]).upper()}: {plain}" if place else plain


def _fail(reason: str) -> int:
    print(f"imaging: {reason}", file=sys.stderr)  # noqa: T201 -- a command speaks on stderr
    return 1


if __name__ == "__main__":
    sys.exit(main())
