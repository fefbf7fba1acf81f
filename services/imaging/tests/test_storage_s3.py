"""What only a bucket does: links, refusals in plain words, and an interpreter that ends well."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from imaging.storage import NotStored, StorageFull
from imaging.storage.s3 import S3Storage
from imaging.storage.signing import Signer
from services.imaging.tests.buckets import REGION, bucket, described
from tests.servers.ports import free_port
from tests.servers.seaweed import S3

NAME = 'Grüße "2"; x.jpg'


@pytest.fixture
def storage(s3_server: S3, tmp_path: Path) -> Iterator[S3Storage]:
    with bucket(s3_server, tmp_path / "tmp") as storage:
        yield storage


def link(storage: S3Storage, *, seconds: int = 60, inline: bool = False) -> str:
    storage.put("originals/ab/abc", b"picture")
    found = storage.link(
        "originals/ab/abc", seconds=seconds, filename=NAME, media_type="image/webp", inline=inline
    )
    assert found
    return found


def test_a_link_serves_the_object_under_its_name_and_type(storage: S3Storage) -> None:
    answer = httpx.get(link(storage))
    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["content-type"] == "image/webp"
    name = "UTF-8''Gr%C3%BC%C3%9Fe%20%222%22%3B%20x.jpg"
    assert answer.headers["content-disposition"] == f"attachment; filename*={name}"
    shown = httpx.get(link(storage, inline=True))
    assert shown.headers["content-disposition"] == f"inline; filename*={name}"


def test_a_link_serves_ranges_and_conditions(storage: S3Storage) -> None:
    address = link(storage)
    part = httpx.get(address, headers={"Range": "bytes=0-2"})
    assert (part.status_code, part.content) == (206, b"pic")
    same = httpx.get(address, headers={"If-None-Match": httpx.get(address).headers["etag"]})
    assert same.status_code == 304


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ("abc?", "other?"),
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("attachment", "inline"),
        ("image%2Fwebp", "text%2Fhtml"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
)
def test_a_link_that_was_changed_is_refused(storage: S3Storage, part: str, instead: str) -> None:
    address = link(storage)
    assert part in address
    assert httpx.get(address.replace(part, instead)).status_code == 403


def test_a_link_ends_when_its_seconds_are_over(s3_server: S3, storage: S3Storage) -> None:
    storage.put("a/b", b"picture")
    where = storage.bucket
    signer = Signer(s3_server.endpoint, where.name, REGION, where.access_key, where.secret_key)
    minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    assert httpx.get(signer.link("a/b", 90, {}, minute_ago)).status_code == 200
    assert httpx.get(signer.link("a/b", 30, {}, minute_ago)).status_code == 403


def test_without_a_public_endpoint_there_are_no_links(s3_server: S3, tmp_path: Path) -> None:
    private = S3Storage(described(s3_server), temporary=tmp_path)
    assert private.link("a/b", seconds=60, filename="x", media_type="image/jpeg") is None


def test_a_download_is_gone_after_its_block(storage: S3Storage) -> None:
    storage.put("a/b", b"picture")
    with storage.local("a/b") as path:
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()
    with pytest.raises(NotStored), storage.local("a/none"):
        pass
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"secret_key": "wrong"}, "the bucket refuses: SignatureDoesNotMatch"),
        ({"access_key": "nobody"}, "the bucket refuses: InvalidAccessKeyId"),
        ({"name": "test-none"}, "the bucket refuses: NoSuchBucket"),
        ({"endpoint": f"http://127.0.0.1:{free_port()}"}, "the bucket refuses: .* error sending"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    s3_server: S3, tmp_path: Path, other: dict[str, str], said: str
) -> None:
    storage = S3Storage(described(s3_server, **other), temporary=tmp_path)
    with pytest.raises(OSError, match=f"^{said}.*$"):
        storage.check()
    assert s3_server.secret_key not in repr(storage.bucket)


class Full(BaseHTTPRequestHandler):
    """A server that has no room, as MinIO says it; SeaweedFS cannot be filled so exactly."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(507)
        said = b"<Error><Code>XMinioStorageFull</Code></Error>"
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as above
        pass


def test_a_server_without_room_is_full(s3_server: S3, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Full) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        storage = S3Storage(described(s3_server, endpoint=endpoint), temporary=tmp_path)
        source = storage.temporary()
        with pytest.raises(StorageFull):
            storage.adopt("originals/ab/abc", source)
        server.shutdown()
        thread.join()
    assert source.exists(), "what was not stored must not be consumed"


PROGRAM = """
import asyncio, sys
from pathlib import Path
from imaging.storage.s3 import Bucket, S3Storage

storage = S3Storage(Bucket(*sys.argv[1:6]), temporary=Path(sys.argv[6]))

async def main():
    puts = (asyncio.to_thread(storage.put, f"a/{n}", bytes(1000)) for n in range(4))
    await asyncio.gather(*puts)
    await asyncio.to_thread(list, storage.entries("a"))

asyncio.run(main())
"""


@pytest.mark.timeout(120)
def test_a_program_that_used_it_ends_in_order(s3_server: S3, tmp_path: Path) -> None:
    where = described(s3_server)
    words = (where.name, where.endpoint, where.region, where.access_key, where.secret_key)
    for _ in range(3):
        command = [sys.executable, "-c", PROGRAM, *words, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
