"""Advisory locks: for what must not happen twice at once, and has no row to lock.

All are of a transaction, and so end with it whatever happens, behind a pooler, too.
"""

from hashlib import blake2b

MIGRATIONS = "migrations"
CLAIMS = "claims"
SCHEDULES = "schedules"


def of_key(key: str) -> str:
    """Return the name of the lock of a unique key."""
    return f"key {key}"


def number_of(schema: str, name: str) -> int:
    """Return the lock's number; that two names share one costs time, and nothing else."""
    digest = blake2b(f"{schema}\0{name}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
