"""What becomes of an exception that leaves an endpoint: the one body of all refusals."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from imaging.errors import Refused, refused
from imaging.storage import StorageFull, StorageUnavailable, room
from offload import StoreError, StoreFull

log = logging.getLogger(__name__)

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_type",
    416: "range_not_satisfiable",
    422: "invalid_request",
}


def install(app: FastAPI) -> None:
    """Give all errors of the application, the mounted routers' included, the same body."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in (StorageFull, StoreFull, OSError):
        app.add_exception_handler(kind, _full)
    app.add_exception_handler(StoreError, _no_queue)
    app.add_exception_handler(StorageUnavailable, _no_storage)
    app.add_exception_handler(Exception, _unexpected)


def _body(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"detail": detail, "code": code}, status, headers)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)  # noqa: S101 -- registered for this class only
    return _body(error.status, error.code, error.detail, error.headers)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class only
    code = _CODES.get(error.status_code, "error")
    response = _body(error.status_code, code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this class only
    faults = (f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
    return _body(422, "invalid_request", "; ".join(faults))


async def _full(request: Request, error: Exception) -> JSONResponse:
    try:
        # Of the system's own errors only those that mean this; others are ours to read.
        with room():
            raise error
    except (StorageFull, StoreFull):
        return await _refused(request, refused("insufficient_storage"))


async def _no_queue(request: Request, error: Exception) -> JSONResponse:
    log.error("%s: the queue failed", request.url.path, exc_info=error)
    return await _refused(request, refused("queue_unavailable"))


async def _no_storage(request: Request, error: Exception) -> JSONResponse:
    log.error("%s: the storage failed", request.url.path, exc_info=error)
    return await _refused(request, refused("storage_unavailable"))


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    # The traceback goes to the log (Starlette raises it again); the client gets no inside.
    return _body(500, "internal_error", "Something went wrong on our side.")
