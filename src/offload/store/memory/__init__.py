"""The store in dictionaries: the model that the real drivers are compared with, and for tests."""

from offload.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
