"""Buckets of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imaging.storage.s3 import Bucket, S3Storage
from tests.servers import seaweed
from tests.servers.seaweed import S3

REGION = "eu-central-1"


@contextmanager
def bucket(server: S3, temporary: Path) -> Iterator[S3Storage]:
    """Yield an empty bucket's storage, which leaves no temporary file behind."""
    storage = S3Storage(described(server), temporary=temporary, public=server.endpoint)
    # The server makes a bucket for whoever first writes to it.
    storage.put("first", b"")
    storage.delete("first")
    yield storage


def described(server: S3, **other: str) -> Bucket:
    """Describe a fresh bucket of this server, with other words where they are given."""
    said = {
        "name": seaweed.fresh(),
        "endpoint": server.endpoint,
        "region": REGION,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
    }
    return Bucket(**{**said, **other})


def in_environment(server: S3) -> dict[str, str]:
    """Name a fresh bucket of this server as an operator does."""
    return {
        "IMAGING_S3_BUCKET": seaweed.fresh(),
        "IMAGING_S3_ENDPOINT": server.endpoint,
        "IMAGING_S3_REGION": REGION,
        "IMAGING_S3_ACCESS_KEY": server.access_key,
        "IMAGING_S3_SECRET_KEY": server.secret_key,
    }
