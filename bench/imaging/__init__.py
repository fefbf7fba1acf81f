"""The image service beside the same service on Celery and Redis."""
