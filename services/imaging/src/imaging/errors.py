"""Every way this service says no: one body shape, ``{"detail", "code"}``, in plain words."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from imaging.pipeline import BadImage
from imaging.storage import StorageFull, room
from offload import StoreFull

# What a refused picture is in HTTP's terms.  415: this kind of file is never accepted;
# 413: too many bytes; 422: the right kind, but this one cannot be processed (too many
# pixels among them: the body was not too large, the picture is).
_STATUS = {
    "unsupported_type": 415,
    "not_an_image": 415,
    "too_large": 413,
}

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_type",
    422: "invalid_request",
}


class Refused(Exception):
    """The request cannot be fulfilled as it is; says why, and what would work."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def refusal_of(error: BadImage) -> Refused:
    """Dress a fault of the file for HTTP."""
    return Refused(_STATUS.get(error.code, 422), error.code, error.detail)


def unknown_upload() -> Refused:
    """Answer for any id that is not, or no longer, known."""
    return Refused(404, "not_found", "There is no upload with this id.")


def install(app: FastAPI) -> None:
    """Give all errors of the application, the mounted routers' included, the same body."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in (StorageFull, StoreFull, OSError):
        app.add_exception_handler(kind, _full)
    app.add_exception_handler(Exception, _unexpected)


def _body(status: int, code: str, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail, "code": code}, status)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)  # noqa: S101 -- registered for this class only
    return _body(error.status, error.code, error.detail)


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


async def _full(_request: Request, error: Exception) -> JSONResponse:
    try:
        # Of the system's own errors only those that mean this; others are ours to read.
        with room():
            raise error
    except (StorageFull, StoreFull):
        return _body(507, "insufficient_storage", "There is no room for more pictures now.")


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    # The traceback goes to the log (Starlette raises it again); the client gets no inside.
    return _body(500, "internal_error", "Something went wrong on our side.")
