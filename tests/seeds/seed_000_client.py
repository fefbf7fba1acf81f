# Seed 000's client.py, word for word. Its author's style is part of it, so the formatter,
# some rules and the type checker leave it alone:
# fmt: off
# ruff: noqa: F401, I001, T201
# mypy: ignore-errors

"""Example client for the image processing service."""

import httpx
import json
import time

BASE = "http://localhost:8000"

# 1. Submit a job
resp = httpx.post(f"{BASE}/process", params={
    "image_url": "https://example.com/photo.jpg",
    "sizes": [128, 256, 512, 1024],
})
data = resp.json()
job_id = data["job_id"]
print(f"Submitted job: {job_id}")

# 2. Stream progress via SSE
print("\nStreaming progress:")
with httpx.stream("GET", f"{BASE}/tasks/jobs/{job_id}/progress") as r:
    for line in r.iter_lines():
        if line.startswith("data:"):
            payload = json.loads(line[5:].strip())
            print(f"  Progress: {payload['progress']}% — Status: {payload['status']}")
            if payload["status"] in ("complete", "failed", "dead", "cancelled"):
                break

# 3. Fetch the final result
result = httpx.get(f"{BASE}/tasks/jobs/{job_id}/result", params={"timeout": 5})
print(f"\nResult: {result.json()}")
