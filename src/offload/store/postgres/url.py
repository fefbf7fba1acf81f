"""What the URL says: what is for offload, and what is for libpq."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from offload.core.errors import ConfigurationError

SCHEMA = "offload"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
OWN = re.compile(r"(schema|pooler)=")
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
        """The URL as it may be logged: without a password, and what else it says."""
        scheme, _, place = self.conninfo.partition("?")[0].partition("://")
        user, at, host = place.rpartition("@")
        return f"{scheme}://{user.partition(':')[0]}{at}{host}"


def parsed(url: str) -> Address:
    """Take offload's own parameters (`schema`, `pooler`) out of the URL.

    Raises:
        ConfigurationError: one of them has a value that it cannot have.
    """
    # By hand: what is for libpq must reach it letter by letter.
    place, _, query = url.partition("?")
    asked = [each for each in query.split("&") if each]
    own = dict(parse_qsl("&".join(filter(OWN.match, asked)), keep_blank_values=True))
    schema, pooler = own.get("schema", SCHEMA), own.get("pooler", POOLERS[0])
    if not NAME.fullmatch(schema):
        raise ConfigurationError(
            f"schema={schema!r}: use letters, digits and underscores, at most 63"
        )
    if pooler not in POOLERS:
        raise ConfigurationError(f"pooler={pooler!r}: use one of {', '.join(POOLERS)}")
    rest = "&".join(each for each in asked if not OWN.match(each))
    conninfo = f"postgresql://{place.partition('://')[2]}" + (f"?{rest}" if rest else "")
    return Address(url, conninfo, schema, pooler == "transaction")
