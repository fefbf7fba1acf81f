"""The ``imaging`` command: ``run`` serves until Ctrl-C, ``demo`` shows the same and ends."""

import argparse
import asyncio
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence

import uvicorn
from pydantic import ValidationError
from rich.console import Console

from imaging.client import Client
from imaging.settings import Settings
from imaging.showcase import show
from imaging.storage import LocalStorage

# A page that is open holds its streams for ever; ending must not wait for it.
_GRACE_SECONDS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line; what it returns is the exit code."""
    parser = argparse.ArgumentParser(prog="imaging", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start the service and serve until Ctrl-C")
    run.add_argument("--port", type=int, help="default: IMAGING_PORT, or 8000")
    commands.add_parser("demo", help="put photographs through a service of its own, then end")
    arguments = parser.parse_args(argv)
    # Each worker's memory stays low this way, and children read it before Python starts.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    try:
        return _demo() if arguments.command == "demo" else _run(arguments.port)
    except ValidationError as error:
        return _fail(_explained(error))
    except OSError as error:
        return _fail(str(error))


def _run(port: int | None) -> int:
    settings = Settings()
    # Found out now, a folder that cannot be written is one line and not a traceback.
    LocalStorage(settings.storage_root)
    return _serve(settings.host, settings.port if port is None else port, stay=True)


def _demo() -> int:
    with tempfile.TemporaryDirectory(prefix="imaging-demo-") as folder:
        # The environment, because that is what the workers' children read as well.
        os.environ["IMAGING_DATA_DIR"] = folder
        Settings()
        return _serve("127.0.0.1", 0, stay=False)


def _serve(host: str, port: int, *, stay: bool) -> int:
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
    showing = Showing(server, listener, stay=stay)
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

    def __init__(self, server: uvicorn.Server, listener: socket.socket, *, stay: bool) -> None:
        super().__init__(name="showing", daemon=True)
        self.failure: str | None = None
        self._server = server
        self._address: tuple[str, int] = listener.getsockname()[:2]
        self._stay = stay

    def run(self) -> None:
        """Show, then either leave the service alone or end it."""
        console = Console()
        try:
            show(Client(*self._address), console)
            if self._stay:
                host, port = self._address
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
    faults = (
        f"IMAGING_{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()
    )
    return "; ".join(faults)


def _fail(reason: str) -> int:
    print(f"imaging: {reason}", file=sys.stderr)  # noqa: T201 -- a command speaks on stderr
    return 1


if __name__ == "__main__":
    sys.exit(main())
