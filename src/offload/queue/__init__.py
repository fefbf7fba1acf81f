"""The facade that users hold."""

from offload.queue.queue import Queue

__all__ = ["Queue"]
