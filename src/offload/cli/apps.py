"""`module:queue` to the queue itself."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from offload.core.errors import ConfigurationError
from offload.queue import Queue


def load_queue(target: str) -> Queue:
    """Import `module:attribute` from the current folder or the path, and return the queue.

    Raises:
        ConfigurationError: the target is malformed, cannot be found, or is no queue.
    """
    module_name, separator, attribute = target.partition(":")
    if not separator or not attribute or not all(module_name.split(".")):
        raise ConfigurationError(f"--app {target!r}: write module:queue, as in app:queue")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # the module is there, but something that it imports is not
        raise ConfigurationError(f"--app {target!r}: no module {error.name!r} here") from None
    found: object = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            there = [key for key, value in vars(module).items() if isinstance(value, Queue)]
            hint = f"; its queues: {', '.join(there)}" if there else ""
            raise ConfigurationError(f"--app {target!r}: {module_name} has no {name!r}{hint}")
        found = getattr(found, name)
    if not isinstance(found, Queue):
        raise ConfigurationError(f"--app {target!r} is a {type(found).__name__}, not a Queue")
    if found.store.capabilities.url is None:
        raise ConfigurationError(
            f"--app {target!r}: {found.url} is there only inside one process, not for this "
            "command: give the queue a file, db_path=…, or a server"
        )
    return found


@contextlib.contextmanager
def opened(target: str) -> Iterator[Queue]:
    """Give the queue to a command, and close it at its end.

    Raises:
        ConfigurationError: as `load_queue`.
    """
    queue = load_queue(target)
    try:
        yield queue
    finally:
        queue.close()
