"""Refuses what a page of another site makes a browser send."""

from fastapi import HTTPException, Request

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


async def refuse_cross_site(request: Request) -> None:
    """Let no other site's page change anything with the cookies of whoever looks at it.

    Browsers say in `Sec-Fetch-Site` where a request comes from, and no page can change that;
    other clients do not send it, and have no cookies that a page could use.

    Raises:
        HTTPException: 403, it changes something and comes from another site.
    """
    if request.method not in SAFE and request.headers.get("sec-fetch-site") == "cross-site":
        raise HTTPException(403, "Refused: sent by a page of another site")
