"""The only place that knows the drivers; each is imported when it is asked for."""

from offload.core.errors import ConfigurationError
from offload.store.base import Store
from offload.store.health import Finding

SCHEMES = ("sqlite", "memory")


def open_store(url: str, *, synchronous: str = "FULL") -> Store:
    """Return the store for `sqlite:///path`, a plain path, or `memory://`; it is not open yet.

    Raises:
        ConfigurationError: the scheme is not one of `SCHEMES`.
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
    known = ", ".join(f"{name}://" for name in SCHEMES)
    raise ConfigurationError(f"no store for {scheme}:// in this version: use a path, or {known}")


def examine(store: Store) -> list[Finding]:
    """Return what there is to say of a store's health; it is neither opened nor made."""
    from offload.store.sqlite import SQLiteStore  # noqa: PLC0415 - as above
    from offload.store.sqlite.health import examined  # noqa: PLC0415

    return examined(store.path, store.synchronous) if isinstance(store, SQLiteStore) else []
