"""One POST to an address that a stranger has named.

The name is resolved once, what it resolves to is checked, and that very address is
connected to: a name that means something else a moment later gains nothing.  Neither does
a redirect, for none is followed.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache

from imaging.reach import Reach, Target, parsed

_SECONDS = 15


class Unheard(Exception):
    """What answered was not HTTP."""


async def post(url: str, headers: Mapping[str, str], body: bytes, reach: Reach) -> int:
    """Send the body, and give the status of the answer.

    Raises `Unreachable` for what may not be reached; ``OSError`` (a ``TimeoutError`` among
    them) and `Unheard` for what did not work this time.
    """
    target = parsed(url)
    async with asyncio.timeout(_SECONDS):
        reader, writer = await _connected(target, await reach.addresses(target))
        try:
            writer.write(_head(target, headers, body) + body)
            await writer.drain()
            return _status(await reader.readuntil(b"\r\n"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise Unheard("the receiver does not speak HTTP") from None
        finally:
            writer.close()


async def _connected(
    target: Target, addresses: list[str]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context, name = (_tls(), target.host) if target.is_tls else (None, None)
    *others, last = addresses
    for address in others:
        try:
            return await asyncio.open_connection(
                address, target.port, ssl=context, server_hostname=name
            )
        except OSError:
            continue
    return await asyncio.open_connection(last, target.port, ssl=context, server_hostname=name)


def _head(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    said = {
        "Host": target.netloc,
        **headers,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = (f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items()))
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _status(line: bytes) -> int:
    found = line.split(maxsplit=2)
    if len(found) > 1 and found[0].startswith(b"HTTP/1.") and found[1].isdigit():
        return int(found[1])
    raise Unheard("the receiver does not speak HTTP")


@lru_cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
