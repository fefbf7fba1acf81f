"""The JSON of the API, with the keys that clients of such services already know."""

from enum import StrEnum

from pydantic import BaseModel


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
    progress: int
    filename: str
    error: Problem | None


class Links(BaseModel):
    """Where the outputs of an upload are found."""

    resized_compressed: str
    thumbnail: str


class Result(BaseModel):
    """The outputs, once there are any."""

    status: UploadStatus
    result: Links | None
    error: Problem | None = None


class Variant(BaseModel):
    """The measures of one output."""

    width: int
    height: int
    bytes: int


class GalleryItem(Status):
    """One upload as the page shows it."""

    size: int
    width: int
    height: int
    created_at: int | None
    result: Links | None
    outputs: dict[str, Variant] | None


class Gallery(BaseModel):
    """A page of uploads, newest first; ``next`` is the ``before`` of the page after it."""

    uploads: list[GalleryItem]
    next: str | None


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
