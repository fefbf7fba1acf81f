"""Jobs in Redis or Valkey: one server, many machines."""

from offload.store.redis.store import RedisStore

__all__ = ["RedisStore"]
