# Seed 001's "SSE Progress Streaming", word for word; its author's style is part of it:
# fmt: off
# ruff: noqa: ERA001, T201
# mypy: ignore-errors

import httpx

with httpx.stream("GET", "http://localhost:8000/tasks/jobs/01H5K6X.../progress") as r:
    for line in r.iter_lines():
        print(line)
        # data: {"progress": 25, "status": "running"}
        # data: {"progress": 50, "status": "running"}
        # data: {"progress": 100, "status": "completed"}
