"""Pictures on their way in."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from imaging import names, uploads, webhooks
from imaging.errors import problems
from imaging.owners import Asker
from imaging.receive import Part
from imaging.schemas import Batch, Problem, RefusedUpload, Upload
from imaging.uploads import Rejected, Sender

_REFUSALS = (
    "unauthorized",
    "upload_timeout",
    "too_large",
    "not_an_image",
    "unsupported_type",
    "damaged_image",
    "empty_file",
    "invalid_request",
    "invalid_webhook",
    "too_many_pixels",
    "truncated_image",
    "too_busy",
    "queue_unavailable",
    "storage_unavailable",
    "insufficient_storage",
)

# Both bodies are read by hand (see receive), so they are described by hand.
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "One picture, or the field repeated for several.",
                        }
                    },
                }
            }
        },
    }
}
_RAW: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

_Webhook = Annotated[
    str | None,
    Query(
        max_length=2000,
        description="Gets a signed POST when the upload is over.",
        examples=["https://example.com/hooks/pictures"],
    ),
]

router = APIRouter()


@router.post(
    "/upload",
    status_code=202,
    response_model=Upload | Batch,
    openapi_extra=_FORM,
    responses=problems(
        *_REFUSALS, "bad_request", "not_multipart", "missing_file", "too_many_files"
    ),
)
async def upload(request: Request, owner: Asker, webhook: _Webhook = None) -> Upload | Batch:
    """Take one picture or several.

    202, because the work is accepted and not done.  One file that is refused is an error
    response; in a batch each file is answered by itself.
    """
    sender = Sender(owner, webhook=webhooks.accepted(webhook))
    await uploads.admit()
    async with uploads.received(request) as parts:
        if len(parts) > 1:
            return await _batch(parts, sender)
        return await _one(parts[0], sender)


@router.put("/upload", status_code=202, openapi_extra=_RAW, responses=problems(*_REFUSALS))
async def upload_raw(
    request: Request,
    owner: Asker,
    filename: Annotated[str, Query(max_length=1000, examples=["photo.jpg"])] = "image",
    webhook: _Webhook = None,
) -> Upload:
    """Take one picture that is the whole body: `curl -T photo.jpg …/upload?filename=photo.jpg`."""
    sender = Sender(owner, webhook=webhooks.accepted(webhook))
    await uploads.admit()
    async with uploads.received_raw(request, filename) as part:
        return await _one(part, sender)


async def _one(part: Part, sender: Sender) -> Upload:
    outcome = await uploads.accept(part, sender)
    if isinstance(outcome, Rejected):
        raise outcome.reason
    return outcome


async def _batch(parts: list[Part], sender: Sender) -> Batch:
    batch = names.new_id()
    sender = replace(sender, batch=batch)
    outcomes = [await uploads.accept(part, sender) for part in parts]
    return Batch(batch_id=batch, uploads=[_shown(outcome) for outcome in outcomes])


def _shown(outcome: Upload | Rejected) -> Upload | RefusedUpload:
    if isinstance(outcome, Upload):
        return outcome
    reason = outcome.reason
    problem = Problem(code=reason.code, detail=reason.detail)
    return RefusedUpload(filename=outcome.filename, error=problem)
