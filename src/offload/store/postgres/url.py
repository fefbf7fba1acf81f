"""What the URL says: what is for offload, and what is for libpq."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from offload.core.errors import ConfigurationError

SCHEMA = "offload"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
POOLERS = ("none", "transaction")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the jobs are.

    `conninfo` is what libpq takes. With `pooled`, each transaction may run on another session of
    the server: nothing of a session is relied on, neither LISTEN nor prepared statements.
    """

    url: str
    conninfo: str
    schema: str
    pooled: bool

    @property
    def quoted(self) -> str:
        """The schema as it stands in SQL."""
        return f'"{self.schema}"'

    @property
    def shown(self) -> str:
        """The URL as it may be logged: without a password."""
        parts = urlsplit(self.conninfo)
        user, at, place = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{user.partition(':')[0]}{at}{place}{parts.path}"


def parsed(url: str) -> Address:
    """Take offload's own parameters (`schema`, `pooler`) out of the URL.

    Raises:
        ConfigurationError: one of them has a value that it cannot have.
    """
    parts = urlsplit(url)
    asked = parse_qsl(parts.query, keep_blank_values=True)
    own = {name: value for name, value in asked if name in {"schema", "pooler"}}
    schema, pooler = own.get("schema", SCHEMA), own.get("pooler", POOLERS[0])
    if not NAME.fullmatch(schema):
        raise ConfigurationError(
            f"schema={schema!r}: use letters, digits and underscores, at most 63"
        )
    if pooler not in POOLERS:
        raise ConfigurationError(f"pooler={pooler!r}: use one of {', '.join(POOLERS)}")
    rest = urlencode([(name, value) for name, value in asked if name not in own])
    conninfo = parts._replace(scheme="postgresql", query=rest).geturl()
    return Address(url, conninfo, schema, pooler == "transaction")
