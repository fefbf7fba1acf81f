"""Every way this service says no: one body shape, ``{"detail", "code"}``, in plain words."""

from typing import Any

from imaging.orders import BadImage
from imaging.schemas import Problem

_JSON = "application/json"

# What a refused picture is in HTTP's terms.  415: this kind of file is never accepted;
# 413: too many bytes; 422: the right kind, but this one cannot be processed (too many
# pixels among them: the body was not too large, the picture is).
_STATUS = {
    "unsupported_type": 415,
    "not_an_image": 415,
    "too_large": 413,
}

# The codes that an endpoint may answer with: their status, and an example for people.
_KNOWN = {
    "bad_request": (400, "The body of the request is broken or incomplete."),
    "unauthorized": (401, "Send an API key: `Authorization: Bearer …` or `X-API-Key: …`."),
    "cross_site": (403, "Another site may not do this."),
    "not_found": (404, "There is no upload with this id."),
    "upload_timeout": (408, "Nothing has come for 30 seconds, so the upload was given up."),
    "not_retryable": (409, "Only an upload that failed or was cancelled can be tried again."),
    "too_large": (413, "This file is too large. At most 25 MB are accepted."),
    "range_not_satisfiable": (416, "The file has no such bytes."),
    "not_an_image": (415, "This file is not a picture. Send a JPEG, PNG, WebP, GIF or AVIF."),
    "not_multipart": (415, "Send the picture as multipart form data, in the field `file`."),
    "unsupported_type": (415, "PDF files are not supported. Send a JPEG, PNG, WebP, GIF or AVIF."),
    "damaged_image": (422, "This picture is damaged and cannot be read."),
    "empty_file": (422, "This file is empty."),
    "invalid_request": (422, "query.limit: Input should be less than or equal to 100"),
    "invalid_webhook": (422, "A webhook is an address that begins with https:// or http://."),
    "missing_file": (422, "No file was sent. Put it in the form's field `file`."),
    "too_many_files": (422, "At most 20 files at a time."),
    "too_many_pixels": (
        422,
        "This picture is 9000 x 9000 pixels. Accepted are at most 50 megapixels.",
    ),
    "truncated_image": (422, "This picture is incomplete: the file ends too early."),
    "too_busy": (429, "Too many pictures wait already. Try again in 10 seconds."),
    "queue_unavailable": (503, "The service cannot reach its queue now. Try again later."),
    "storage_unavailable": (503, "The service cannot reach its pictures now. Try again later."),
    "insufficient_storage": (507, "There is no room for more pictures now."),
}


class Refused(Exception):
    """The request cannot be fulfilled as it is; says why, and what would work."""

    def __init__(
        self, status: int, code: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


def refused(code: str) -> Refused:
    """Refuse with the words that the API's description shows for this code."""
    status, detail = _KNOWN[code]
    return Refused(status, code, detail)


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Describe for OpenAPI the refusals of these codes, each with an example."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in sorted(codes, key=_KNOWN.__getitem__):
        status, detail = _KNOWN[code]
        answer = found.setdefault(status, {"model": Problem, "content": {_JSON: {"examples": {}}}})
        example = {"value": {"detail": detail, "code": code}}
        answer["content"][_JSON]["examples"][code] = example
    return found


def refusal_of(error: BadImage) -> Refused:
    """Dress a fault of the file for HTTP."""
    return Refused(_STATUS.get(error.code, 422), error.code, error.detail)


def unknown_upload() -> Refused:
    """Answer for any id that is not, or no longer, known."""
    return refused("not_found")
