"""Where the bytes live: a folder of this machine, or a bucket that many machines share."""

from imaging.storage.base import (
    NotStored,
    Stat,
    Storage,
    StorageFull,
    Stored,
    UnsafeKey,
    room,
)
from imaging.storage.local import LocalStorage

__all__ = [
    "LocalStorage",
    "NotStored",
    "Stat",
    "Storage",
    "StorageFull",
    "Stored",
    "UnsafeKey",
    "room",
]
