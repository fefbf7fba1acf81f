"""Hosts with addresses of their own: network namespaces, or what comes nearest without them."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from tests.servers.proxy import Proxy, before

HOSTS = ("store", "web1", "web2", "near", "far")


def own_network() -> list[str] | None:
    """Return what begins a command that may build a network of its own; None if nothing does."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return None
    enter = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "-Ur", "--net"]
    bridge = ["ip", "link", "add", "name", "br0", "type", "bridge"]
    veth = ["ip", "link", "add", "name", "v0", "type", "veth", "peer", "name", "v1"]
    for link in (bridge, veth):
        if subprocess.run([*enter, *link], capture_output=True, check=False).returncode:
            return None
    return enter


class Loopback:
    """All on this host: each has an address, and only what "far" says to the store can be cut."""

    kind = "loopback addresses"

    def __init__(self, stack: AsyncExitStack) -> None:
        """Let `stack` end what is begun."""
        self._stack = stack
        self._proxy: Proxy | None = None

    def address(self, host: str) -> str:
        """Return the address of a host."""
        return f"127.0.0.{2 + HOSTS.index(host)}"

    def on(self, host: str) -> list[str]:
        """Return how a command begins that runs on this host."""
        assert host in HOSTS
        return []

    def server_on(self, host: str) -> list[str]:
        """The same for a server that refuses to be root."""
        return self.on(host)

    async def way(self, host: str, url: str) -> str:
        """Return the URL by which a host reaches the store."""
        if host != "far":
            return url
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        found = await self._stack.enter_async_context(before(parts.hostname, parts.port))
        self._proxy, port = found
        return url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}")

    def cut(self) -> None:
        """Let nothing pass from or to "far"."""
        assert self._proxy is not None
        self._proxy.freeze()

    def mend(self) -> None:
        """Let all pass again."""
        assert self._proxy is not None
        self._proxy.thaw()


class Namespaces(Loopback):
    """A network namespace for each host, and a bridge between them in that of this process."""

    kind = "network namespaces"

    def __init__(self, stack: AsyncExitStack) -> None:
        """Build them; `stack` ends them."""
        super().__init__(stack)
        self._pids: dict[str, int] = {}
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "name", "br0", "type", "bridge")
        run("ip", "addr", "add", "10.77.0.1/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        for host in HOSTS:
            self._build(host)

    def _build(self, host: str) -> None:
        keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo there; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._stack.callback(keeper.communicate)  # closes its input, which ends it
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"there\n"
        self._pids[host] = keeper.pid
        link = f"v-{host}"
        run(
            "ip", "link", "add", "name", link, "type", "veth",
            "peer", "name", "eth0", "netns", str(keeper.pid),
        )  # fmt: skip
        run("ip", "link", "set", link, "master", "br0", "up")
        run(*self.on(host), "ip", "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
        run(*self.on(host), "ip", "link", "set", "eth0", "up")
        run(*self.on(host), "ip", "link", "set", "lo", "up")

    def address(self, host: str) -> str:
        """Return the address of a host."""
        return f"10.77.0.{2 + HOSTS.index(host)}"

    def on(self, host: str) -> list[str]:
        """Return how a command begins that runs on this host."""
        return ["nsenter", "-t", str(self._pids[host]), "-n"]

    def server_on(self, host: str) -> list[str]:
        """The same for a server that refuses to be root."""
        return [*self.on(host), "unshare", "--user", "--map-user=65534"]

    async def way(self, _host: str, url: str) -> str:
        """Return the URL by which a host reaches the store."""
        return url

    def cut(self) -> None:
        """Let nothing pass from or to "far"."""
        run("ip", "link", "set", "v-far", "down")

    def mend(self) -> None:
        """Let all pass again."""
        run("ip", "link", "set", "v-far", "up")


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


@asynccontextmanager
async def network(kind: str) -> AsyncIterator[Loopback]:
    """Yield the hosts of this kind."""
    async with AsyncExitStack() as stack:
        yield Namespaces(stack) if kind == Namespaces.kind else Loopback(stack)
        await asyncio.sleep(0)


def command(*words: str) -> tuple[str, Sequence[str]]:
    """Return the kind of network that there can be here, and how to run these words in it."""
    enter = own_network()
    return (Loopback.kind, words) if enter is None else (Namespaces.kind, [*enter, *words])
