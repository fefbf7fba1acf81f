"""A folder of temporary files, which nobody but their maker can guess the names of."""

import os
import tempfile
from pathlib import Path


class TemporaryFolder:
    """Files that live for one request or one run; those of killed processes are swept."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder

    def make(self) -> Path:
        """Make an empty file."""
        handle, name = tempfile.mkstemp(dir=self.folder)
        os.close(handle)
        return Path(name)

    def sweep(self, before: float) -> None:
        """Remove files last written before this time (seconds since 1970)."""
        for path in self.folder.iterdir():
            try:
                if path.lstat().st_mtime < before:
                    path.unlink()
            except FileNotFoundError:
                continue  # its maker, or another sweep, was faster
