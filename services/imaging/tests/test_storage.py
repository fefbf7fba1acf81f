"""Nothing is written or read outside the root, and nothing is there by halves."""

import os
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


def test_what_is_put_is_found_and_replaced(storage: LocalStorage) -> None:
    storage.put("processed/a/thumbnail.jpeg", b"one")
    storage.put("processed/a/thumbnail.jpeg", b"two")
    path = storage.path("processed/a/thumbnail.jpeg")
    assert path
    assert path.read_bytes() == b"two"
    assert files_below(storage.root) == ["processed/a/thumbnail.jpeg"]


def test_adopting_moves_the_temporary_file(storage: LocalStorage) -> None:
    source = storage.temporary()
    source.write_bytes(b"picture")
    storage.adopt("originals/a", source)
    assert not source.exists()
    assert [stored.key for stored in storage.entries("originals")] == ["originals/a"]


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


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../outside",
        "originals/../../outside",
        "originals/..",
        "originals/.",
        "originals//a",
        "originals/a\0b",
        "originals/a\nb",
        "originals\\a",
        "originals/ü",
        "originals/.hidden",
        "originals/" + "a" * 300,
    ],
)
def test_keys_that_are_not_plain_segments_are_refused(storage: LocalStorage, key: str) -> None:
    for act in (storage.path, storage.delete, lambda k: storage.put(k, b"x")):
        with pytest.raises(UnsafeKey):
            act(key)
    assert files_below(storage.root.parent) == []


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


def test_deleting_takes_all_below_and_may_be_repeated(storage: LocalStorage) -> None:
    storage.put("processed/a/one.jpeg", b"1")
    storage.put("processed/a/two.jpeg", b"2")
    storage.put("processed/b/one.jpeg", b"3")
    for _ in range(2):
        storage.delete("processed/a")
    assert files_below(storage.root) == ["processed/b/one.jpeg"]


def test_only_old_temporary_files_are_swept(storage: LocalStorage) -> None:
    old, new = storage.temporary(), storage.temporary()
    os.utime(old, (1000, 1000))
    storage.sweep_temporary(before=2000)
    assert (old.exists(), new.exists()) == (False, True)
