"""On a disk: nothing is written or read outside the root, and nothing is there by halves."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imaging.storage import LocalStorage, StorageFull, UnsafeKey


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


def files_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let writes to this process's files fail beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_room_the_old_object_stays_and_nothing_else(storage: LocalStorage) -> None:
    storage.put("originals/a", b"old")
    with no_file_above(1000), pytest.raises(StorageFull):
        storage.put("originals/a", bytes(2000))
    assert files_below(storage.root) == ["originals/a"]
    assert storage.read("originals/a") == b"old"


def test_a_planted_link_leads_nowhere(storage: LocalStorage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (storage.root / "originals").symlink_to(outside)
    for act in (storage.path, storage.delete, lambda k: storage.put(k, b"x")):
        with pytest.raises(UnsafeKey):
            act("originals/secret")

    (storage.root / "processed").mkdir()
    (storage.root / "processed" / "a").symlink_to(outside / "secret")
    assert storage.path("processed/a") is None
    storage.put("processed/a", b"ours")
    storage.delete("processed/a")
    assert (outside / "secret").read_bytes() == b"secret"


def test_nobody_else_may_look_into_the_folder(storage: LocalStorage) -> None:
    storage.put("originals/ab/a", b"x")
    modes = {
        p.stat().st_mode & 0o077 for p in (storage.root, *storage.root.rglob("*")) if p.is_dir()
    }
    assert modes == {0}


def test_an_object_is_its_own_file(storage: LocalStorage) -> None:
    storage.put("originals/ab/a", b"picture")
    with storage.local("originals/ab/a") as path:
        assert path == storage.path("originals/ab/a") == storage.root / "originals/ab/a"


def test_a_disk_that_takes_nothing_more_is_found_out(storage: LocalStorage) -> None:
    storage.check()
    storage.root.joinpath("tmp").rmdir()
    with pytest.raises(FileNotFoundError):
        storage.check()
