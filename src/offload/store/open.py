"""The only place that knows the drivers; each is imported when it is asked for."""

from urllib.parse import urlsplit

from offload.core.errors import ConfigurationError
from offload.store.base import Store
from offload.store.health import Finding

REDIS = ("redis", "rediss", "redis+unix", "valkey", "valkeys")
SCHEMES = ("sqlite", "memory", "postgresql", *REDIS)


def open_store(url: str, *, synchronous: str = "FULL") -> Store:
    """Return the store for a URL of one of `SCHEMES`, or a plain path; it is not open yet.

    Raises:
        ConfigurationError: the scheme is not one of `SCHEMES`, or its driver is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "sqlite":
        from offload.store.sqlite import SQLiteStore  # noqa: PLC0415 - apsw only where it is used

        # sqlite:///relative.db and sqlite:////absolute.db, as SQLAlchemy spells them.
        path = rest.removeprefix("/") if separator else url
        return SQLiteStore(path, synchronous=synchronous)
    if scheme == "memory":
        from offload.store.memory import MemoryStore  # noqa: PLC0415 - as above

        return MemoryStore()
    if scheme in {"postgresql", "postgres"}:
        return _postgres(url, synchronous)
    if scheme in REDIS:
        return _redis(url)
    known = ", ".join(f"{name}://" for name in SCHEMES)
    raise ConfigurationError(f"no store for {scheme}:// in this version: use a path, or {known}")


def _postgres(url: str, synchronous: str) -> Store:
    try:
        from offload.store.postgres import PostgresStore  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ConfigurationError(
            f"postgresql:// needs psycopg ({error}): pip install 'offload[postgres]'"
        ) from error
    if synchronous != "FULL":
        raise ConfigurationError(
            f"synchronous={synchronous!r} is for SQLite: on PostgreSQL, the server's own "
            "synchronous_commit decides"
        )
    return PostgresStore(url)


def _redis(url: str) -> Store:
    try:
        from offload.store.redis import RedisStore  # noqa: PLC0415 - hiredis only where it is used
    except ModuleNotFoundError as error:
        if error.name != "hiredis":
            raise
        raise ConfigurationError("redis:// needs: pip install 'offload[redis]'") from None
    return RedisStore(url)


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    secret = urlsplit(url).password if "://" in url else None
    return url.replace(f":{secret}@", ":…@", 1) if secret else url


def is_there(store: Store) -> bool:
    """Return False for a file that nobody has made yet."""
    from offload.store.sqlite import SQLiteStore  # noqa: PLC0415 - as above

    return not isinstance(store, SQLiteStore) or store.path.exists()


def examine(store: Store) -> list[Finding]:
    """Return what there is to say of a store's health; it is neither opened nor made."""
    if store.capabilities.url is not None and store.capabilities.url.startswith(REDIS):
        from offload.store.redis.health import examined as examined_server  # noqa: PLC0415

        return examined_server(store.capabilities.url)
    from offload.store.sqlite import SQLiteStore  # noqa: PLC0415 - as above
    from offload.store.sqlite.health import examined  # noqa: PLC0415

    url = store.capabilities.url
    if url is not None and url.startswith("postgres"):
        from offload.store.postgres.health import examined as served  # noqa: PLC0415

        return served(url)
    return examined(store.path, store.synchronous) if isinstance(store, SQLiteStore) else []
