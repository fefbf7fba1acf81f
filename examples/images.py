"""Photos that are made smaller and put on a CDN, while the client has its answer already.

What is often done otherwise, and why not here:

- The client's file name becomes a path: `../../etc/passwd`, or the file of another request. Here
  each upload has a folder of its own, with names of ours.
- Pillow runs on the event loop. Here it runs in a thread.
- The upload is read into memory, however long it is. Here it has a limit, and pixels have one, too.
- Photos are published with the place where they were taken. Here the versions carry no metadata.
- Temporary files stay behind after a failure. Here `finally` removes them.
- Nobody learns what became of it. Here the task can be looked up, at `/images/{id}`.

A crash loses what is being processed. `services/imaging` does this with jobs, which survive.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import aiofiles
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, UploadFile
from PIL import Image, ImageOps
from pydantic import BaseModel

from examples.standins import StandIns
from offload.fastapi import Tasks, add_tasks

MOST_BYTES = 20_000_000
CHUNK = 1_000_000
SIZES = {"full": (2000, 2000), "thumb": (300, 300)}
Image.MAX_IMAGE_PIXELS = 50_000_000

outside = StandIns()


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with outside:
        yield


app = FastAPI(title="Images", lifespan=lifespan)
add_tasks(app)


class Accepted(BaseModel):
    id: str
    url: str


class Standing(BaseModel):
    status: str
    urls: dict[str, str] | None
    error: str | None


@app.post("/images", status_code=202)
async def upload(file: UploadFile, request: Request, tasks: Tasks) -> Accepted:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="upload-"))
    try:
        await save(file, folder / "original")
        task = tasks.task(name="image", timeout=60).schedule(publish, folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return Accepted(id=task.id, url=str(request.url_for("show", image_id=task.id)))


@app.get("/images/{image_id}")
async def show(
    image_id: str, tasks: Tasks, wait: Annotated[float, Query(ge=0, le=20)] = 0
) -> Standing:
    task = tasks.get(image_id)
    if task is None:
        raise HTTPException(404, "No such image, or it was finished long ago")
    with contextlib.suppress(TimeoutError):
        await task.wait(wait)
    error = None if task.error is None else "The image could not be processed"
    return Standing(status=task.status, urls=task.result, error=error)


async def save(file: UploadFile, path: Path) -> None:
    size = 0
    async with aiofiles.open(path, "wb") as out:
        while chunk := await file.read(CHUNK):
            size += len(chunk)
            if size > MOST_BYTES:
                raise HTTPException(413, f"An image may have {MOST_BYTES} bytes")
            await out.write(chunk)


async def publish(folder: Path) -> dict[str, str]:
    """Return the addresses of the versions of the photo in the folder, which goes."""
    try:
        paths = await asyncio.to_thread(make_versions, folder)
        urls = await asyncio.gather(*(put(folder.name, path) for path in paths))
        return dict(zip(SIZES, urls, strict=True))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_versions(folder: Path) -> list[Path]:
    with Image.open(folder / "original", formats=["JPEG", "PNG", "WEBP"]) as original:
        upright = ImageOps.exif_transpose(original).convert("RGB")
    return [make_version(upright, size, folder / f"{name}.jpg") for name, size in SIZES.items()]


def make_version(image: Image.Image, size: tuple[int, int], path: Path) -> Path:
    version = image.copy()
    version.info.clear()
    version.getexif().clear()
    version.thumbnail(size)
    version.save(path, quality=85, optimize=True)
    return path


async def put(name: str, path: Path) -> str:
    async with aiofiles.open(path, "rb") as file:
        content = await file.read()
    answer = await outside.http.put(f"/cdn/images/{name}/{path.name}", content=content)
    url: str = answer.json()["url"]
    return url


if __name__ == "__main__":
    uvicorn.run(app)
