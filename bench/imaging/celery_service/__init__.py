"""The service of the seed's page as most people build it: FastAPI, Celery, Redis, Pillow."""
