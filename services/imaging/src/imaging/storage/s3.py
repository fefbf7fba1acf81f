"""Objects in a bucket: S3, or what speaks its protocol.  Needs ``imaging[s3]``.

obstore's synchronous calls only: with its coroutines, one interpreter in five aborts when
it ends (a thread of theirs comes back while Python is being taken down).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from imaging.storage.base import (
    NotStored,
    Stat,
    StorageFull,
    StorageUnavailable,
    Stored,
    checked,
    room,
)
from imaging.storage.signing import Signer
from imaging.storage.temporary import TemporaryFolder

# A request that waits for its bytes must fail while its client still listens; tasks have
# retries of their own.
_RETRY_SECONDS = 10
_RETRIES = 3
_PAGE = 1000
_CHECKED = "check/readable"
_CODE = re.compile(r"<Code>(\w+)</Code>")
# S3 itself is never full; servers of one's own are, and each has its word for it.
_FULL = re.compile(r"status code: 507|StorageFull|InsufficientStorage|QuotaExceeded")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a bucket is, and who we are there."""

    name: str
    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)


class S3Storage:
    """A bucket.  ``public``: the endpoint as clients reach it, or None if they do not."""

    def __init__(self, bucket: Bucket, *, temporary: Path, public: str | None = None) -> None:
        self.bucket = bucket
        self._store = _open(bucket)
        self._temporary = TemporaryFolder(temporary)
        self._signer = None if public is None else _signer(bucket, public)

    def check(self) -> None:
        """Read an object of ours, which needs the network, the keys, the bucket and its disks.

        A server that has just started may list what it cannot read yet; one that makes
        buckets for whoever writes must not make the one whose name is wrong.
        """
        with _plain_errors():
            next(iter(obstore.list(self._store, _CHECKED, chunk_size=1)), None)
        if self.read(_CHECKED) is None:
            self.put(_CHECKED, b"It can be read.")

    def temporary(self) -> Path:
        """Make an empty file on this machine."""
        with room():
            return self._temporary.make()

    def adopt(self, key: str, source: Path) -> None:
        """Upload the file; the bucket has it once this returns."""
        with _plain_errors():
            obstore.put(self._store, checked(key), source)
        source.unlink()

    def put(self, key: str, data: bytes) -> None:
        """Upload the bytes."""
        with _plain_errors():
            obstore.put(self._store, checked(key), data)

    def read(self, key: str) -> bytes | None:
        """Download a small object."""
        with _plain_errors():
            try:
                return bytes(obstore.get(self._store, checked(key)).bytes())
            except FileNotFoundError:
                return None

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """Download to a temporary file, which is removed at the end of the block."""
        path = self.temporary()
        try:
            self._download(key, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def path(self, key: str) -> Path | None:
        """Give none: no object is a file of this machine."""
        checked(key)
        return None

    def stat(self, key: str) -> Stat | None:
        """Ask for the object's head."""
        with _plain_errors():
            try:
                found = obstore.head(self._store, checked(key))
            except FileNotFoundError:
                return None
        etag = (found["e_tag"] or "").strip('"')
        return Stat(found["size"], found["last_modified"].timestamp(), etag)

    def link(
        self, key: str, *, seconds: int, filename: str, media_type: str, inline: bool = False
    ) -> str | None:
        """Sign an address of the bucket, if clients reach it."""
        checked(key)
        if self._signer is None:
            return None
        kind = "inline" if inline else "attachment"
        answer = {
            "response-content-disposition": f"{kind}; filename*=UTF-8''{quote(filename, safe='')}",
            "response-content-type": media_type,
        }
        return self._signer.link(key, seconds, answer, datetime.now(UTC))

    def delete(self, prefix: str) -> None:
        """Remove the object and all below it, a thousand with one request."""
        with _plain_errors():
            # S3 does not tell whether there was one.
            obstore.delete(self._store, checked(prefix))
            for page in obstore.list(self._store, prefix, chunk_size=_PAGE):
                obstore.delete(self._store, [found["path"] for found in page])

    def entries(self, prefix: str) -> Iterator[Stored]:
        """Page through the bucket."""
        with _plain_errors():
            for page in obstore.list(self._store, checked(prefix), chunk_size=_PAGE):
                for found in page:
                    yield Stored(found["path"], found["last_modified"].timestamp())

    def sweep_temporary(self, before: float) -> None:
        """Remove what downloads that were killed have left on this machine."""
        self._temporary.sweep(before)

    def _download(self, key: str, path: Path) -> None:
        with _plain_errors():
            try:
                found = obstore.get(self._store, checked(key))
            except FileNotFoundError:
                raise NotStored(key) from None
            with room(), path.open("wb") as file:
                for chunk in found:
                    file.write(chunk)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise the library's errors, which are of a tree of its own, as what disks raise."""
    try:
        yield
    except BaseError as error:
        # Lines of it are for the library's makers; S3's own word is in a document at the end.
        said = str(error).partition("\n")[0]
        code = _CODE.search(str(error))
        if _FULL.search(said) or (code and _FULL.search(code[1])):
            raise StorageFull from error
        word = code[1] if code else said
        raise StorageUnavailable(f"the bucket refuses: {word}") from error


def _open(bucket: Bucket) -> S3Store:
    return S3Store(
        bucket.name,
        endpoint=bucket.endpoint,
        region=bucket.region,
        access_key_id=bucket.access_key,
        secret_access_key=bucket.secret_key,
        # Whoever writes http:// as the endpoint has decided that this network is theirs.
        client_options={"allow_http": bucket.endpoint.startswith("http://")},
        retry_config={
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
        },
    )


def _signer(bucket: Bucket, public: str) -> Signer:
    return Signer(public, bucket.name, bucket.region, bucket.access_key, bucket.secret_key)
