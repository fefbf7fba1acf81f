"""What an operator may change, read once from the environment.

Everything is spelled ``IMAGING_…``; the table in the service's README is this class.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from imaging.presets import DEFAULT, Preset, declared
from offload import Limits


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

    @property
    def database(self) -> Path:
        """The queue's file."""
        return self.data_dir / "queue.db"

    @property
    def storage_root(self) -> Path:
        """The folder that no file of ours, and none of a client's, ever leaves."""
        return self.data_dir / "files"


@lru_cache
def settings() -> Settings:
    """Read the environment once a process, so that all modules see the same values."""
    return Settings()
