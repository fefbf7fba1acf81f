"""The Celery application and its one task.

`ENGINE=pillow` is what tutorials do: the picture is decoded in full, and each output is made of
that. `ENGINE=vips` is the same service in the hands of somebody who has measured.
"""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from PIL import Image

SIDES = {"resized_compressed": 1024, "thumbnail": 256}
QUALITY = 85

FILES = Path(os.environ["FILES"])
ENGINE = os.environ["ENGINE"]
REDIS = os.environ["REDIS_URL"]

celery = Celery("images", broker=REDIS, backend=REDIS)
celery.conf.broker_connection_retry_on_startup = True


def original(upload_id: str) -> Path:
    """Say where an upload's bytes are."""
    return FILES / "originals" / upload_id


def output(upload_id: str, name: str) -> Path:
    """Say where an output is."""
    return FILES / "processed" / upload_id / name


def with_pillow(source: Path, targets: dict[str, Path]) -> None:
    """Make each output from the whole picture."""
    with Image.open(source) as image:
        picture = image.convert("RGB")
    for name, target in targets.items():
        copy = picture.copy()
        copy.thumbnail((SIDES[name], SIDES[name]))
        copy.save(target, "JPEG", quality=QUALITY, optimize=True)


def with_vips(source: Path, targets: dict[str, Path]) -> None:
    """Decode once, no larger than needed, and make the thumbnail from the resized one."""
    import pyvips  # type: ignore[import-untyped] # noqa: PLC0415 - its threads do not survive a fork

    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    side = SIDES["resized_compressed"]
    resized = pyvips.Image.thumbnail(str(source), side, height=side, size="down").copy_memory()
    side = SIDES["thumbnail"]
    thumbnail = resized.thumbnail_image(side, height=side, size="down")
    for name, made in (("resized_compressed", resized), ("thumbnail", thumbnail)):
        made.jpegsave(str(targets[name]), Q=QUALITY, optimize_coding=True, keep="icc")


def process_image(task: Any, upload_id: str, stem: str) -> dict[str, str]:
    """Make the outputs of one upload, and return their addresses."""
    names = {name: f"{stem}_{name}.jpeg" for name in SIDES}
    targets = {name: output(upload_id, file) for name, file in names.items()}
    output(upload_id, "").mkdir(parents=True, exist_ok=True)
    task.update_state(state="PROGRESS", meta={"progress": 10})
    make = with_vips if ENGINE == "vips" else with_pillow
    make(original(upload_id), targets)
    return {name: f"/files/processed/{upload_id}/{file}" for name, file in names.items()}


process = celery.task(process_image, bind=True, name="process_image")
