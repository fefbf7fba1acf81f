"""All uploads, page by page."""

from typing import Annotated

from fastapi import APIRouter, Query

from imaging import finding, names, views
from imaging.errors import Refused, problems
from imaging.owners import Asker
from imaging.schemas import Gallery, Item, UploadStatus

_REFUSALS = ("unauthorized", "queue_unavailable", "storage_unavailable")

router = APIRouter()


@router.get("/uploads", responses=problems(*_REFUSALS, "invalid_request"))
async def recent(
    owner: Asker,
    limit: Annotated[int, Query(ge=1, le=100)] = 24,
    before: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    status: UploadStatus | None = None,
    batch: Annotated[str | None, Query(description="Only what was uploaded together.")] = None,
) -> Gallery:
    """List uploads, newest first."""
    for name, value in (("before", before), ("batch", batch)):
        if value is not None and not names.is_id(value):
            raise Refused(422, "invalid_request", f"`{name}` must be an id.")
    states = views.states_of(status) if status else ()
    # One more than asked for tells whether there is another page.
    jobs = await finding.page(owner, limit=limit + 1, before=before, states=states, batch=batch)
    shown = jobs[:limit]
    following = shown[-1].id if len(jobs) > limit else None
    return Gallery(uploads=await finding.items(shown), next=following)


@router.get("/uploads/{upload_id}", responses=problems(*_REFUSALS, "not_found"))
async def one(upload_id: str, owner: Asker) -> Item:
    """Show one upload as the list does."""
    return await finding.item(await finding.find(upload_id, owner))
