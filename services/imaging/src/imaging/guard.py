"""Response headers that keep a browser from doing more than the page needs.

Also refuses writes that another site's page sends: the service listens on the user's own
machine, where any page they visit could reach it.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imaging.settings import settings
from imaging.storage import picture_origin

_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: {origin}; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A picture opened by itself runs nothing, whatever it turns out to contain.
_FILE = "default-src 'none'; sandbox"
# FastAPI's own documentation page loads its script from elsewhere; it is for developers.
_UNGUARDED = ("/docs", "/redoc")

# Where a bucket serves its pictures, the page may show them.
_POLICY = _PAGE.format(origin=picture_origin(settings()) or "").replace(" ;", ";")

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """A pure ASGI middleware, so that streams and file responses pass through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or refuse it, and harden whatever goes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _harden(MutableHeaders(scope=message), scope["path"])
            await send(message)

        if scope["method"] not in _SAFE_METHODS and _foreign(Headers(scope=scope)):
            refusal = {"detail": "Another site may not do this.", "code": "cross_site"}
            await JSONResponse(refusal, 403)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def _foreign(headers: Headers) -> bool:
    # Browsers always send it; programs do not, and they carry nobody's cookies.
    return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}


def _harden(headers: MutableHeaders, path: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    if not path.startswith(_UNGUARDED):
        headers["Content-Security-Policy"] = _FILE if path.startswith("/files/") else _POLICY
