"""Where the server is and what is wanted of it: all in the URL, which other processes get."""

import ssl
from dataclasses import dataclass
from math import inf
from urllib.parse import parse_qsl, unquote, urlsplit

from offload.core.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "valkey", "valkeys", "redis+unix")
OPTIONS = ("prefix", "replicas", "replica_timeout", "tls_ca")
PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """A server, a database of it, and the names under which a queue lives there."""

    host: str = "localhost"
    port: int = PORT
    path: str | None = None
    """Of a unix socket, instead of host and port."""
    user: str | None = None
    password: str | None = None
    database: int = 0
    tls: bool = False
    tls_ca: str | None = None
    prefix: str = "offload"
    replicas: int = 0
    """How many replicas must have a job before it counts as enqueued or ended."""
    replica_timeout: float = 1.0

    @property
    def root(self) -> str:
        """What every key begins with; the braces keep all of them in one slot of a cluster."""
        return f"{{{self.prefix}}}:"

    @property
    def shown(self) -> str:
        """The server as messages name it: without the password."""
        return self.path or f"{self.host}:{self.port}"

    def context(self) -> ssl.SSLContext | None:
        """Return how to encrypt, None if not at all."""
        return ssl.create_default_context(cafile=self.tls_ca) if self.tls else None


def address_of(url: str) -> Address:
    """Read `redis://user:password@host:port/0?prefix=name`.

    `rediss://` is the same with TLS, `redis+unix:///path?db=0` a socket.

    Raises:
        ConfigurationError: the URL makes no sense; the message names what is wrong.
    """
    try:
        return _read(url)
    except ValueError as error:
        raise ConfigurationError(f"the URL of the server makes no sense: {error}") from None


def _read(url: str) -> Address:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    local = parts.scheme == "redis+unix"
    database = options.pop("db", "0") if local else parts.path.strip("/") or "0"
    unknown = options.keys() - set(OPTIONS)
    if unknown:
        raise ConfigurationError(f"unknown option {min(unknown)!r}: use one of {OPTIONS}")
    return Address(
        host=parts.hostname or "localhost",
        port=parts.port or PORT,
        path=unquote(parts.path) if local else None,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        database=_whole("the database", database),
        tls=parts.scheme in {"rediss", "valkeys"},
        tls_ca=options.get("tls_ca"),
        prefix=_prefix(options.get("prefix", "offload")),
        replicas=_whole("replicas", options.get("replicas", "0")),
        replica_timeout=_seconds(options.get("replica_timeout", "1")),
    )


def _prefix(name: str) -> str:
    # A brace would end the hash tag before its time.
    if not name or set(name) & set("{}"):
        raise ConfigurationError(f"prefix={name!r}: must be a name without braces")
    return name


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{name}: {text!r} must be a whole number")
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < inf:
        raise ConfigurationError(f"replica_timeout={text}: must be seconds above 0")
    return seconds
