"""The HTTP interface.  Each endpoint finds the job that is the upload, and shows it."""

from fastapi import APIRouter

from imaging.routes import batch, changing, files, gallery, sending, service, session, status

router = APIRouter()
for _part in (sending, status, changing, batch, gallery, files, session, service):
    router.include_router(_part.router, tags=["imaging"])
