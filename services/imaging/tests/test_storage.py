"""What every storage promises, asked of each: of a disk, and of a real S3 server."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imaging.storage import LocalStorage, NotStored, Storage, UnsafeKey
from services.imaging.tests.buckets import bucket
from tests.servers.seaweed import S3

BIG = 12_000_000
"""More than S3 takes in one part of an upload."""


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "local":
        yield LocalStorage(tmp_path / "root")
        return
    server: S3 = request.getfixturevalue("s3_server")
    with bucket(server, tmp_path / "tmp") as storage:
        yield storage


def keys(storage: Storage, prefix: str) -> list[str]:
    return sorted(stored.key for stored in storage.entries(prefix))


class TestStorage:
    def test_what_is_put_is_read_and_replaced(self, storage: Storage) -> None:
        storage.put("outputs/ab/abc/small-v1.jpg", b"one")
        storage.put("outputs/ab/abc/small-v1.jpg", b"two")
        assert storage.read("outputs/ab/abc/small-v1.jpg") == b"two"
        assert keys(storage, "outputs") == ["outputs/ab/abc/small-v1.jpg"]

    @pytest.mark.parametrize("size", [0, 7, BIG])
    def test_adopting_consumes_the_temporary_file(self, storage: Storage, size: int) -> None:
        data = os.urandom(size)
        source = storage.temporary()
        source.write_bytes(data)
        storage.adopt("originals/ab/abc", source)
        assert not source.exists()
        with storage.local("originals/ab/abc") as path:
            assert path.read_bytes() == data

    def test_adopting_replaces(self, storage: Storage) -> None:
        storage.put("originals/ab/abc", b"before")
        source = storage.temporary()
        source.write_bytes(b"after")
        storage.adopt("originals/ab/abc", source)
        assert storage.read("originals/ab/abc") == b"after"

    def test_temporary_files_are_apart(self, storage: Storage) -> None:
        first, second = storage.temporary(), storage.temporary()
        assert first != second
        assert first.read_bytes() == second.read_bytes() == b""
        assert first.stat().st_mode & 0o077 == 0

    def test_absent_objects_are_absent_everywhere(self, storage: Storage) -> None:
        key = "originals/ab/abc"
        assert (storage.read(key), storage.stat(key), storage.path(key)) == (None, None, None)
        assert keys(storage, "originals") == []
        storage.delete(key)
        with pytest.raises(NotStored, match=key), storage.local(key):
            pass
        storage.put("originals/ab/abc/below", b"x")
        assert (storage.read(key), storage.stat(key)) == (None, None)

    def test_stat_describes_the_bytes(self, storage: Storage) -> None:
        before = time.time()
        storage.put("originals/ab/abc", b"picture")
        found = storage.stat("originals/ab/abc")
        assert found
        assert found.size == 7
        # S3 tells whole seconds.
        assert abs(found.modified - before) < 60
        again = storage.stat("originals/ab/abc")
        assert again
        assert again.etag == found.etag
        storage.put("originals/ab/abc", b"another")
        other = storage.stat("originals/ab/abc")
        assert other
        assert other.etag != found.etag

    def test_a_local_file_ends_with_its_block_and_the_object_stays(self, storage: Storage) -> None:
        storage.put("originals/ab/abc", b"picture")
        with pytest.raises(RuntimeError), storage.local("originals/ab/abc"):
            raise RuntimeError("a task that fails")
        with storage.local("originals/ab/abc") as path:
            assert path.read_bytes() == b"picture"
        storage.sweep_temporary(time.time() + 60)
        assert storage.read("originals/ab/abc") == b"picture"

    def test_deleting_takes_all_below_and_not_the_neighbours(self, storage: Storage) -> None:
        for key in ("outputs/ab/abc/1.jpg", "outputs/ab/abc/x/2.jpg", "outputs/ab/abcd/1.jpg"):
            storage.put(key, b"x")
        for _ in range(2):
            storage.delete("outputs/ab/abc")
            assert keys(storage, "outputs") == ["outputs/ab/abcd/1.jpg"]
        storage.delete("outputs/ab/abcd/1.jpg")
        assert keys(storage, "outputs") == []

    def test_entries_are_all_below_a_prefix(self, storage: Storage) -> None:
        for number in range(3):
            storage.put(f"originals/{number}{number}/{number}", b"x")
        storage.put("outputs/00/0/1.jpg", b"x")
        assert keys(storage, "originals") == [f"originals/{n}{n}/{n}" for n in range(3)]
        assert keys(storage, "originals/11") == ["originals/11/1"]
        assert keys(storage, "origin") == []
        now = time.time()
        assert all(abs(s.modified - now) < 60 for s in storage.entries("originals"))

    def test_deleting_while_listing_is_fine(self, storage: Storage) -> None:
        for number in range(5):
            storage.put(f"originals/ab/{number}", b"x")
        for stored in storage.entries("originals"):
            storage.delete(stored.key)
        assert keys(storage, "originals") == []

    def test_only_old_temporary_files_are_swept(self, storage: Storage) -> None:
        old, new = storage.temporary(), storage.temporary()
        os.utime(old, (1000, 1000))
        storage.sweep_temporary(before=2000)
        assert (old.exists(), new.exists()) == (False, True)

    def test_it_says_that_it_works(self, storage: Storage) -> None:
        storage.check()

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
            "originals/",
            "originals/a\0b",
            "originals/a\nb",
            "originals/a\n",
            "originals\\a",
            "originals/ü",
            "originals/%2e%2e",
            "originals/.hidden",
            "originals/" + "a" * 300,
        ],
    )
    def test_keys_that_are_not_plain_segments_are_refused(self, storage: Storage, key: str) -> None:
        source = storage.temporary()
        for act in (
            storage.path,
            storage.delete,
            storage.read,
            storage.stat,
            lambda key: list(storage.entries(key)),
            lambda key: storage.put(key, b"x"),
            lambda key: storage.adopt(key, source),
            lambda key: storage.link(key, seconds=60, filename="x", media_type="image/jpeg"),
        ):
            with pytest.raises(UnsafeKey):
                act(key)
        with pytest.raises(UnsafeKey), storage.local(key):
            pass
        assert source.exists()
