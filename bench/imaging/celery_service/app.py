"""The four endpoints of the seed's page. Files lie on the local disk, as in our own default."""

import shutil
import uuid
from pathlib import Path
from typing import Any

from celery.result import AsyncResult
from fastapi import FastAPI, HTTPException, UploadFile
from fastapi.responses import FileResponse

from bench.imaging.celery_service.tasks import celery, original, output, process

app = FastAPI()
original("").mkdir(parents=True, exist_ok=True)


@app.post("/upload")
def upload(file: UploadFile) -> dict[str, str]:
    """Store the file and ask for its task."""
    if not (file.content_type or "").startswith("image/"):
        raise HTTPException(400, "Only images are accepted.")
    upload_id = str(uuid.uuid4())
    with original(upload_id).open("wb") as target:
        shutil.copyfileobj(file.file, target, 1 << 20)
    stem = Path(file.filename or "image").stem
    process.apply_async(args=(upload_id, stem), task_id=upload_id)
    return {
        "id": upload_id,
        "task_id": upload_id,
        "filename": file.filename or "image",
        "status_url": f"/upload/{upload_id}/status",
        "result_url": f"/upload/{upload_id}/result",
        "message": "File uploaded successfully. Processing started in the background.",
    }


@app.get("/upload/{upload_id}/status")
def status(upload_id: str) -> dict[str, Any]:
    """Say where an upload stands."""
    return {"id": upload_id, "status": AsyncResult(upload_id, app=celery).state}


@app.get("/upload/{upload_id}/result")
def result(upload_id: str) -> dict[str, Any]:
    """Give the addresses of the outputs."""
    found = AsyncResult(upload_id, app=celery)
    state = found.state
    return {"status": state, "result": found.result if state == "SUCCESS" else None}


@app.get("/files/processed/{upload_id}/{name}")
def files(upload_id: uuid.UUID, name: str) -> FileResponse:
    """Serve an output."""
    found = output(str(upload_id), name)
    if not found.is_file():
        raise HTTPException(404, "There is no such file.")
    return FileResponse(found, media_type="image/jpeg")
