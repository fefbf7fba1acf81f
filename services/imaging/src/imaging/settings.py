"""What an operator may change, read once from the environment.

Everything is spelled ``IMAGING_…``; the table in the service's README is this class.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from imaging.presets import DEFAULT, Preset, declared
from offload import Limits

_QUEUES = ("postgresql", "postgres", "redis", "rediss", "redis+unix", "valkey", "valkeys")
_S3_NEEDS = ("s3_bucket", "s3_access_key", "s3_secret_key")


class Settings(BaseSettings):
    """One field a setting; the defaults are what a laptop needs."""

    # Compose hands on what is not set as an empty text.
    model_config = SettingsConfigDict(env_prefix="IMAGING_", env_ignore_empty=True)

    data_dir: Path = Path(".offload/imaging")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    # False: this process only answers requests; `offload worker` does the work elsewhere.
    worker: bool = True
    workers: int = Field(default=2, ge=1)

    # Between two looks for what was left behind.
    sweep_seconds: int = Field(default=600, ge=1)

    # postgresql://… or redis://…, for several machines; None: a file in the data folder.
    # A secret, for it has a password in it.
    queue_url: SecretStr | None = None

    # Without a bucket, pictures lie in the data folder.
    s3_bucket: str | None = None
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    s3_access_key: str | None = None
    s3_secret_key: SecretStr | None = None
    # False: clients do not reach the bucket, so the service passes its pictures on.
    s3_links: bool = True
    # Where clients reach it, if not where the service does.
    s3_public_endpoint: str | None = None

    max_bytes: int = Field(default=25_000_000, ge=1)
    max_pixels: int = Field(default=50_000_000, ge=1)
    max_side: int = Field(default=16_384, ge=1)
    max_files: int = Field(default=20, ge=1)
    # A client that sends nothing for so long is not waited for any longer.
    upload_seconds: float = Field(default=30.0, gt=0)

    # "alice:secret1,bob:secret2"; empty: whoever reaches the port may do everything.
    api_keys: SecretStr | None = None
    # None: made of the keys, so that links end when a key changes.
    link_secret: SecretStr | None = None
    link_seconds: int = Field(default=3600, ge=1)
    # Pictures of one owner at a time; None: as many as there are places.
    owner_concurrency: int | None = Field(default=None, ge=1)
    # Pictures that may wait; while there are more, uploads are refused.
    max_pending: int = Field(default=1000, ge=1)

    # What is made of each picture: a JSON list, see `presets`.
    presets: Annotated[tuple[Preset, ...], NoDecode] = DEFAULT
    # What one picture may take: memory and processor time, and seconds on the wall.
    picture_memory: str = "1 GB"
    picture_cpu_seconds: float = Field(default=30, gt=0)
    picture_seconds: float = Field(default=60, gt=0)
    # True: for a kernel, or a container, that does not let processes leave the network.
    picture_network: bool = False
    # AVIFs at a time, over all workers: more would leave fewer for what people wait for.
    avif_workers: int = Field(default=1, ge=1)

    # Without a secret to sign with there are no webhooks.
    webhook_secret: SecretStr | None = None
    # "hooks.internal,10.1.0.0/16": may be told although they are not on the internet.
    webhook_allow: str | None = None
    webhook_retries: int = Field(default=8, ge=0)
    # Seconds before the first retry; each further one waits twice as long.
    webhook_backoff: float = Field(default=5.0, ge=0)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # A worker may be started from another folder's shell later in the same process
        # tree; one absolute path keeps both sides on the same files.
        return value.expanduser().absolute()

    @field_validator("presets", mode="before")
    @classmethod
    def _declared(cls, value: object) -> object:
        return declared(value) if isinstance(value, str) else value

    @field_validator("picture_memory")
    @classmethod
    def _amount(cls, value: str) -> str:
        Limits(memory=value)
        return value

    @field_validator("queue_url")
    @classmethod
    def _shared(cls, value: SecretStr | None) -> SecretStr | None:
        scheme = value.get_secret_value().partition("://")[0] if value else None
        if scheme is None or scheme in _QUEUES:
            return value
        raise ValueError(f"must begin with one of {', '.join(f'{q}://' for q in _QUEUES)}")

    @field_validator("s3_endpoint", "s3_public_endpoint")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None or value.startswith(("http://", "https://")):
            return value and value.rstrip("/")
        raise ValueError("must begin with https:// or http://")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        # Half of it is a mistake, and the other half must not be guessed: pictures would
        # quietly go to the disk.
        needed = {name: getattr(self, name) for name in _S3_NEEDS}
        named = [n for n in (*_S3_NEEDS, "s3_endpoint", "s3_public_endpoint") if getattr(self, n)]
        missing = [f"IMAGING_{name.upper()}" for name, value in needed.items() if not value]
        if named and missing:
            raise ValueError(f"IMAGING_{named[0].upper()} also needs {' and '.join(missing)}")
        return self

    @field_validator("api_keys")
    @classmethod
    def _pairs(cls, value: SecretStr | None) -> SecretStr | None:
        pairs = _keys(value)
        if len(dict(pairs)) < len(pairs) or len({key for _, key in pairs}) < len(pairs):
            raise ValueError("two owners have the same name, or the same key")
        return value

    @field_validator("webhook_allow")
    @classmethod
    def _reachable(cls, value: str | None) -> str | None:
        for one in _words(value):
            if "/" in one:
                ip_network(one)
            elif not re.fullmatch(r"[a-z0-9.:-]+", one):
                raise ValueError(f"{one} is neither a host nor a network such as 10.1.0.0/16")
        return value

    @property
    def webhook_hosts(self) -> frozenset[str]:
        """The names that may be told, wherever they are."""
        return frozenset(one for one in _words(self.webhook_allow) if "/" not in one)

    @property
    def webhook_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that may be told."""
        return tuple(ip_network(one) for one in _words(self.webhook_allow) if "/" in one)

    @property
    def keys(self) -> dict[str, str]:
        """The API keys by their owners; none: no key is asked for."""
        return dict(_keys(self.api_keys))

    @property
    def queue(self) -> str:
        """Where the queue is: a URL, or its file."""
        shared = self.queue_url
        return shared.get_secret_value() if shared else str(self.data_dir / "queue.db")

    @property
    def storage_root(self) -> Path:
        """The folder that no file of ours, and none of a client's, ever leaves."""
        return self.data_dir / "files"


def _words(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").lower().split(",") if one.strip()]


def _keys(secret: SecretStr | None) -> list[tuple[str, str]]:
    text = secret.get_secret_value() if secret else ""
    return [_pair(one) for one in text.split(",")] if text.strip() else []


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
