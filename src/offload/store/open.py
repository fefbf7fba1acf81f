"""The only place that knows the drivers; each is imported when it is asked for."""

from offload.core.errors import ConfigurationError
from offload.store.base import Store
from offload.store.health import Finding

SCHEMES = ("sqlite", "memory", "postgresql")


def open_store(url: str, *, synchronous: str = "FULL") -> Store:
    """Return the store for `sqlite:///path`, a plain path, `memory://` or `postgresql://…`.

    It is not open yet.

    Raises:
        ConfigurationError: the scheme is not one of `SCHEMES`, or what it needs is not installed.
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


def examine(store: Store) -> list[Finding]:
    """Return what there is to say of a store's health; it is neither opened nor made."""
    from offload.store.sqlite import SQLiteStore  # noqa: PLC0415 - as above
    from offload.store.sqlite.health import examined  # noqa: PLC0415

    url = store.capabilities.url
    if url is not None and url.startswith("postgres"):
        from offload.store.postgres.health import examined as served  # noqa: PLC0415

        return served(url)
    return examined(store.path, store.synchronous) if isinstance(store, SQLiteStore) else []
