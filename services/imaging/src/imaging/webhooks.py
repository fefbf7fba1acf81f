"""Telling another service that an upload is over: a signed POST, by a task that is tried again."""

import hashlib
import hmac
import time
from typing import Any

from imaging import marks, views
from imaging.errors import Refused
from imaging.jobs import manifest_of, queue
from imaging.outgoing import Unheard, post
from imaging.reach import Reach, Unreachable, parsed
from imaging.schemas import Finished
from imaging.settings import settings
from offload import Abort, JobHandle, current_job


@queue.task(
    queue="webhooks",
    max_retries=settings().webhook_retries,
    retry_backoff=settings().webhook_backoff,
    max_retry_delay=3600,
)
async def deliver_webhook(upload_id: str, url: str) -> int | None:
    """Tell whoever is behind this address what became of an upload; the status of the answer."""
    job = await queue.aget_job(upload_id)
    if job is None or not await marks.remaining([job]):
        # Deleted meanwhile: nothing is told of it any more.
        return None
    item = views.item(job, await manifest_of(job))
    body = Finished(event="upload.finished", upload=item).model_dump_json().encode()
    try:
        status = await post(url, _headers(body), body, _reach())
    except Unreachable as error:
        raise Abort(f"webhook refused: {error}") from error
    if status not in range(200, 300):
        raise Unheard(f"the receiver answered {status}")
    return status


async def promise(job: JobHandle[Any]) -> None:
    """See to it that the upload's webhook, if it has one, is told of its end."""
    url = views.meta_of(job)["webhook"]
    if url is not None:
        await deliver_webhook.aapply_async(
            args=(job.id, url), depends_on=job.id, on_parent_failure="run", tags=["webhook"]
        )


def accepted(url: str | None) -> str | None:
    """Refuse at once what could never be told."""
    if url is None:
        return None
    if settings().webhook_secret is None:
        raise _invalid("Webhooks are off: this service has no IMAGING_WEBHOOK_SECRET.")
    try:
        _reach().check_literal(parsed(url))
    except Unreachable as error:
        raise _invalid(f"{error}.") from None
    return url


def signature(secret: str, moment: int, body: bytes) -> str:
    """Sign a body, and when it was sent: who records it cannot send it again much later."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hexdigest()}"


def _headers(body: bytes) -> dict[str, str]:
    secret = settings().webhook_secret
    if secret is None:
        raise Abort("webhook refused: there is no IMAGING_WEBHOOK_SECRET any more")
    return {
        "User-Agent": "imaging",
        "Content-Type": "application/json",
        # The same for each try, so that a receiver knows what it has had already.
        "X-Imaging-Delivery": current_job.id,
        "X-Imaging-Signature": signature(secret.get_secret_value(), int(time.time()), body),
    }


def _reach() -> Reach:
    config = settings()
    return Reach(config.webhook_hosts, config.webhook_networks)


def _invalid(detail: str) -> Refused:
    return Refused(422, "invalid_webhook", detail)
