"""Where a request to a stranger's address may go: to the public internet, and where allowed.

Everything that is ours is refused, however it is written: loopback, link-local (where
clouds keep credentials), private networks, and all of these inside IPv6 addresses.
"""

import asyncio
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

_Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


class Unreachable(Exception):
    """No request may go there, now or later; says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address, taken apart."""

    host: str
    port: int
    netloc: str
    path: str
    is_tls: bool


def parsed(url: str) -> Target:
    """Take an address apart, or raise `Unreachable` for what is none of a web service."""
    # Printable ASCII alone: nothing can end a header early, or be read in two ways.
    if not re.fullmatch(r"[!-~]{1,2000}", url) or "\\" in url:
        raise Unreachable("The address must be plain ASCII, at most 2000 characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Unreachable("This is no address") from None
    if parts.scheme not in _PORTS or not host:
        raise Unreachable("A webhook is an address that begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise Unreachable("The address must have no user and no password in it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = _PORTS[parts.scheme] if port is None else port
    return Target(host, port, parts.netloc, path, is_tls=parts.scheme == "https")


@dataclass(frozen=True, slots=True)
class Reach:
    """How far requests may go: to the internet, and to these hosts and networks of ours."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def check_literal(self, target: Target) -> None:
        """Raise `Unreachable` for an address in numbers that may not be reached."""
        try:
            address = ip_address(target.host)
        except ValueError:
            return
        self._check(target, address)

    async def addresses(self, target: Target) -> list[str]:
        """Resolve the name; raise `Unreachable` if any of what it means may not be reached.

        Raises ``OSError`` where it cannot be resolved now.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        texts = [str(where[0]) for *_, where in found]
        for text in texts:
            self._check(target, ip_address(text))
        return texts

    def _check(self, target: Target, address: _Address) -> None:
        if target.host in self.hosts:
            return
        for one in _meant(address):
            allowed = any(one in network for network in self.networks)
            if not allowed and (not one.is_global or one.is_multicast):
                raise Unreachable(f"{target.host} is not on the public internet")


def _meant(address: _Address) -> list[_Address]:
    """Give the address, or those of IPv4 that it stands for."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    inside = [address.sixtofour] if address.sixtofour else []
    if address in _NAT64:
        inside.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *inside]
