"""Where the bytes live: a folder of this machine, or a bucket that many machines share."""

from imaging.storage.base import (
    NotStored,
    Stat,
    Storage,
    StorageFull,
    StorageUnavailable,
    Stored,
    UnsafeKey,
    room,
)
from imaging.storage.local import LocalStorage
from imaging.storage.opening import STRAY_SECONDS, open_storage, picture_origin

__all__ = [
    "STRAY_SECONDS",
    "LocalStorage",
    "NotStored",
    "Stat",
    "Storage",
    "StorageFull",
    "StorageUnavailable",
    "Stored",
    "UnsafeKey",
    "open_storage",
    "picture_origin",
    "room",
]
