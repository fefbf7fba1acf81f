"""Which storage the settings name."""

import time
from urllib.parse import urlsplit

from imaging.settings import Settings
from imaging.storage.base import Storage
from imaging.storage.local import LocalStorage

STRAY_SECONDS = 3600
"""Far longer than any request or task takes between storing a file and saying what it is for."""


def open_storage(settings: Settings) -> Storage:
    """Open it, and remove what killed processes of this machine have left.

    Raises ``ModuleNotFoundError``, telling what to install, if there is a bucket and no
    obstore.
    """
    storage = _s3(settings) if settings.s3_bucket else LocalStorage(settings.storage_root)
    storage.sweep_temporary(time.time() - STRAY_SECONDS)
    return storage


def picture_origin(settings: Settings) -> str | None:
    """Name the origin that links of the storage lead to, if there are any."""
    if not settings.s3_bucket or not settings.s3_links:
        return None
    url = urlsplit(settings.s3_public_endpoint or _endpoint(settings))
    return f"{url.scheme}://{url.netloc}"


def _endpoint(settings: Settings) -> str:
    # Addressed by path, which S3 and all that speak its protocol understand.
    return settings.s3_endpoint or f"https://s3.{settings.s3_region}.amazonaws.com"


def _s3(settings: Settings) -> Storage:
    try:
        # Only where there is a bucket: it is 16 MB of code.
        from imaging.storage.s3 import Bucket, S3Storage  # noqa: PLC0415 -- as said
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"IMAGING_S3_BUCKET needs {error.name}: pip install 'imaging[s3]'", name=error.name
        ) from error
    assert settings.s3_bucket  # noqa: S101 -- the settings are whole or refused
    assert settings.s3_access_key  # noqa: S101
    assert settings.s3_secret_key  # noqa: S101
    region = settings.s3_region
    endpoint = _endpoint(settings)
    return S3Storage(
        Bucket(
            settings.s3_bucket,
            endpoint,
            region,
            settings.s3_access_key,
            settings.s3_secret_key.get_secret_value(),
        ),
        temporary=settings.storage_root / "tmp",
        public=(settings.s3_public_endpoint or endpoint) if settings.s3_links else None,
    )
