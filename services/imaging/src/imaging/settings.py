"""What an operator may change, read once from the environment.

Everything is spelled ``IMAGING_…``; the table in the service's README is this class.
"""

import re
from functools import lru_cache
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One field a setting; the defaults are what a laptop needs."""

    model_config = SettingsConfigDict(env_prefix="IMAGING_")

    data_dir: Path = Path(".offload/imaging")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    # False: this process only answers requests; `offload worker` does the work elsewhere.
    worker: bool = True
    workers: int = Field(default=2, ge=1)

    max_bytes: int = Field(default=25_000_000, ge=1)
    max_pixels: int = Field(default=50_000_000, ge=1)
    max_side: int = Field(default=16_384, ge=1)
    max_files: int = Field(default=20, ge=1)
    # A client that sends nothing for so long is not waited for any longer.
    upload_seconds: float = Field(default=30, gt=0)

    # "alice:secret1,bob:secret2"; empty: whoever reaches the port may do everything.
    api_keys: str = ""
    link_secret: str = ""
    link_seconds: int = Field(default=3600, ge=1)

    resized_side: int = Field(default=1024, ge=1)
    thumbnail_side: int = Field(default=256, ge=1)
    jpeg_quality: int = Field(default=85, ge=1, le=100)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # A worker may be started from another folder's shell later in the same process
        # tree; one absolute path keeps both sides on the same files.
        return value.expanduser().absolute()

    @field_validator("api_keys")
    @classmethod
    def _pairs(cls, value: str) -> str:
        pairs = [_pair(one) for one in value.split(",")] if value.strip() else []
        owners, keys = {owner for owner, _ in pairs}, {key for _, key in pairs}
        if len(owners) < len(pairs) or len(keys) < len(pairs):
            raise ValueError("two owners have the same name, or the same key")
        return value

    @property
    def keys(self) -> dict[str, str]:
        """The API keys by their owners; none: no key is asked for."""
        return dict(_pair(one) for one in self.api_keys.split(",")) if self.api_keys.strip() else {}

    @property
    def database(self) -> Path:
        """The queue's file."""
        return self.data_dir / "queue.db"

    @property
    def storage_root(self) -> Path:
        """The folder that no file of ours, and none of a client's, ever leaves."""
        return self.data_dir / "files"


def _pair(text: str) -> tuple[str, str]:
    # An owner's name becomes part of a tag and of a cookie; a key, of a header.
    found = re.fullmatch(r"\s*([A-Za-z0-9_-]{1,64}):([!-+\--~]+)\s*", text)
    if found is None:
        raise ValueError("write it as in alice:her-secret,bob:his-secret")
    return found[1], found[2]


@lru_cache
def settings() -> Settings:
    """Read the environment once a process, so that all modules see the same values."""
    return Settings()
