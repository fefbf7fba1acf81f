"""All that a worker needs: ``offload worker --app imaging.work:queue``.

Nothing of HTTP is among it, which each process of a worker would hold in memory for nothing.
"""

from imaging import deletion, janitor, webhooks
from imaging.jobs import queue

# A worker runs the tasks and the schedules that it has imported.
__all__ = ["deletion", "janitor", "queue", "webhooks"]
