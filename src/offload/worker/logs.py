"""How the command and its members log."""

import logging
import sys


def configure(*, verbose: bool) -> None:
    """Log to standard error: colours and columns for people, plain lines for a file."""
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - slow to load, and only for people
        from rich.logging import RichHandler  # noqa: PLC0415 - as above

        handler = RichHandler(console=Console(stderr=True), show_path=False)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("offload").setLevel(logging.DEBUG if verbose else logging.INFO)
