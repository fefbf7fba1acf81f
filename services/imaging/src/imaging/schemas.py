"""The JSON of the API, with the keys that clients of such services already know."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from imaging.manifest import Manifest
from imaging.presets import Fit, Format

_ID = "019ab3f4-5c1e-7d20-8a51-3f1f5ac0e6b2"
_FOLDER = f"/files/processed/{_ID}"


class UploadStatus(StrEnum):
    """What clients are told; several states of a job look the same from outside."""

    PENDING = "PENDING"
    PROGRESS = "PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


class Problem(BaseModel):
    """Why something did not work: ``code`` for programs, ``detail`` for people."""

    code: str
    detail: str


class Upload(BaseModel):
    """The answer to one accepted file."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "task_id": _ID,
                    "filename": "sample.jpg",
                    "status_url": f"/upload/{_ID}/status",
                    "result_url": f"/upload/{_ID}/result",
                    "message": "File uploaded successfully. Processing started in the background.",
                }
            ]
        }
    )

    id: str
    task_id: str
    filename: str
    status_url: str
    result_url: str
    message: str


class RefusedUpload(BaseModel):
    """The answer to one file of a batch that was not taken."""

    filename: str
    error: Problem


class Batch(BaseModel):
    """The answer to several files; each is taken or refused by itself."""

    batch_id: str
    uploads: list[Upload | RefusedUpload]


class Status(BaseModel):
    """Where an upload stands."""

    id: str
    task_id: str
    status: UploadStatus
    progress: int = Field(ge=0, le=100)
    filename: str
    error: Problem | None


class Links(BaseModel):
    """Where the outputs of an upload are found."""

    resized_compressed: str = Field(examples=[f"{_FOLDER}/sample_resized_compressed.jpeg"])
    thumbnail: str = Field(examples=[f"{_FOLDER}/sample_thumbnail.jpeg"])


class Measures(BaseModel):
    """How large an output is."""

    width: int
    height: int
    bytes: int


class Variant(Measures):
    """One output: what a preset made of the picture."""

    url: str = Field(examples=[f"{_FOLDER}/sample_thumbnail.jpeg"])
    format: str = Field(examples=["jpeg"])


class Result(BaseModel):
    """The outputs, once there are any."""

    status: UploadStatus
    result: Links | None
    error: Problem | None = None
    variants: dict[str, Variant] | None = None
    manifest: Manifest | None = None


class Item(Status):
    """One upload with all that is known of it."""

    size: int = Field(description="Bytes of the original.")
    width: int
    height: int
    format: str = Field(examples=["jpeg"])
    sha256: str
    created_at: int = Field(description="Unix milliseconds.")
    batch_id: str | None
    retry_of: str | None = Field(description="The upload that this one tries again.")
    original_url: str
    result: Links | None
    outputs: dict[str, Measures] | None
    variants: dict[str, Variant] | None
    thumbhash: str | None = Field(
        default=None, description="A placeholder of some 25 bytes, in Base64."
    )
    colour: str | None = Field(
        default=None, description="The dominant colour.", examples=["#a0522d"]
    )
    taken_at: datetime | None = Field(
        default=None, description="When the camera took it, by its own clock."
    )


class Finished(BaseModel):
    """What a webhook is told."""

    event: Literal["upload.finished"]
    upload: Item


class Gallery(BaseModel):
    """A page of uploads, newest first; ``next`` is the ``before`` of the page after it."""

    uploads: list[Item]
    next: str | None


class BatchProgress(BaseModel):
    """How far several files of one request are; one that was tried again counts as its retry."""

    batch_id: str
    total: int
    finished: int
    succeeded: int
    failed: int
    cancelled: int
    progress: int = Field(ge=0, le=100)


class BatchStatus(BatchProgress):
    """The same, with where each file stands."""

    uploads: list[Status]


class Cancelled(BaseModel):
    """Whether the upload could still be stopped."""

    cancelled: bool


class Accepts(BaseModel):
    """What the service takes, so that a page can say so before a byte is sent."""

    types: list[str]
    max_bytes: int
    max_pixels: int
    max_side: int
    max_files: int


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Checks(BaseModel):
    """What was looked at."""

    queue: Literal["ok", "failed"]
    storage: Literal["ok", "failed"]
    workers: Literal["ok", "none"]


class Readiness(BaseModel):
    """`degraded`: pictures are taken, but no worker is there to process them."""

    status: Literal["ready", "degraded", "unready"]
    checks: Checks


class Key(BaseModel):
    """What opens a session."""

    key: str = Field(max_length=256)


class Session(BaseModel):
    """Whether this service asks for a key, and whose was given."""

    required: bool
    owner: str | None


class PresetInfo(BaseModel):
    """One of the outputs that are made of every picture."""

    name: str
    width: int
    height: int
    fit: Fit
    format: Format
    quality: int
