"""A session for the page: a browser cannot send a header with each picture that it loads."""

from fastapi import APIRouter, Request, Response

from imaging import owners
from imaging.errors import problems
from imaging.owners import Visitor
from imaging.schemas import Key, Session
from imaging.settings import settings

router = APIRouter()


@router.get("/session")
async def session(owner: Visitor) -> Session:
    """Say whether this service asks for a key, and whose was given."""
    return Session(required=bool(settings().keys), owner=owner)


@router.post(
    "/session",
    responses=problems("unauthorized", "cross_site", "bad_request", "invalid_request"),
)
async def begin(key: Key, request: Request, response: Response) -> Session:
    """Begin a session with an API key: the browser gets a cookie that no script can read."""
    owner = owners.owner_of(key.key)
    if owner is None and settings().keys:
        raise owners.unauthorized()
    if owner is not None:
        response.set_cookie(
            owners.COOKIE,
            owners.new_session(owner),
            max_age=owners.SESSION_SECONDS,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
    return Session(required=bool(settings().keys), owner=owner)


@router.delete("/session", status_code=204, responses=problems("cross_site"))
async def end(response: Response) -> None:
    """End the session of this browser."""
    response.delete_cookie(owners.COOKIE, httponly=True, samesite="strict")
