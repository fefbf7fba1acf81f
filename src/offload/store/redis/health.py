"""Looks at a queue's server, changing nothing of it."""

import asyncio

from offload.core.errors import OffloadError
from offload.store.health import Finding, note, ok, wrong
from offload.store.redis.address import Address, address_of
from offload.store.redis.link import Link

SAFE = "noeviction"
OLDEST = (6, 2)
"""The first version in which a script may do all that ours do."""


def examined(url: str) -> list[Finding]:
    """Return the findings for the server at a URL, which need not be there."""
    return asyncio.run(_examined(address_of(url)))


async def _examined(address: Address) -> list[Finding]:
    link = Link(address, None)
    try:
        said = facts(await link.command("INFO"))
        layout = await link.command("GET", address.root + "layout")
    except OffloadError as error:
        return [wrong("server", str(error), "start it, or correct the queue's URL")]
    finally:
        await link.close()
    return [
        version(said),
        eviction(said),
        memory(said),
        persistence(said),
        replication(said, address.replicas),
        _encryption(address),
        ok("layout", "none yet" if layout is None else layout.decode()),
    ]


def facts(info: bytes) -> dict[str, str]:
    """Return what the server says of itself, by name."""
    lines = info.decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def version(said: dict[str, str]) -> Finding:
    """Judge the version; Valkey also names the one of Redis that it is like."""
    number = said.get("redis_version", "0")
    found = f"valkey {said['valkey_version']}" if "valkey_version" in said else f"redis {number}"
    if tuple(int(part) for part in number.split(".")[:2]) >= OLDEST:
        return ok("version", found)
    return wrong("version", found, "upgrade it: 6.2 is the oldest that can do all that is needed")


def eviction(said: dict[str, str]) -> Finding:
    """Judge what the server does when its memory is full."""
    policy = said.get("maxmemory_policy", SAFE)
    if policy == SAFE:
        return ok("eviction", policy)
    return wrong(
        "eviction",
        f"{policy} throws jobs away when the memory is full",
        f"CONFIG SET maxmemory-policy {SAFE}, and the same in its file",
    )


def memory(said: dict[str, str]) -> Finding:
    """Judge how much of its memory is used."""
    used, most = int(said.get("used_memory", 0)), int(said.get("maxmemory", 0))
    found = f"{used / (1 << 20):,.0f} MB used"
    if most and used > most * 0.8:
        return note("memory", f"{found} of {most / (1 << 20):,.0f} MB", "give it more, or prune")
    return ok("memory", found)


def persistence(said: dict[str, str]) -> Finding:
    """Judge what a crash or a power loss can take."""
    if said.get("aof_enabled") != "1":
        return note(
            "persistence",
            "no append-only file: a crash takes all jobs since the last snapshot",
            "CONFIG SET appendonly yes, and the same in its file",
        )
    if said.get("aof_last_write_status", "ok") != "ok":
        return wrong("persistence", "the last write to the append-only file failed", "see its log")
    return ok("persistence", "append-only file")


def replication(said: dict[str, str], wanted: int) -> Finding:
    """Judge whether there are as many replicas as each job must be on."""
    if said.get("role", "master") != "master":
        return wrong("replication", "this is a replica", "use the address of the primary")
    there = int(said.get("connected_slaves", 0))
    if there < wanted:
        return wrong("replication", f"{there} replicas, {wanted} wanted", "start them")
    return ok("replication", f"{there} replicas")


def _encryption(address: Address) -> Finding:
    is_here = address.path is not None or address.host in {"localhost", "127.0.0.1", "::1"}
    if address.tls or is_here:
        return ok("encryption", "TLS" if address.tls else "not needed on one machine")
    return note("encryption", "none", "use rediss:// if others can listen in the network between")
