"""The queue and its one task.  A worker's child process imports this module and no other.

It therefore stays light: no web framework, and nothing that happens on import.
"""

from functools import lru_cache

from imaging.pipeline import BadImage, Limits, Output, render
from imaging.settings import settings
from imaging.storage import Storage, StorageFull, open_storage
from offload import Abort, Queue, Snooze, current_job

queue = Queue(settings().queue, workers=settings().workers)

_FULL_SECONDS = 5
VARIANTS = ("resized_compressed", "thumbnail")


@lru_cache
def storage() -> Storage:
    """Open the storage at first use, so that importing this module makes no folder."""
    return open_storage(settings())


def limits() -> Limits:
    """Hand the settings that concern pictures to the pipeline."""
    config = settings()
    return Limits(
        max_pixels=config.max_pixels,
        max_side=config.max_side,
        resized_side=config.resized_side,
        thumbnail_side=config.thumbnail_side,
        quality=config.jpeg_quality,
    )


@queue.task(executor="process", timeout=60, max_retries=3, retry_backoff=2.0)
def process_image(upload_id: str, stem: str) -> dict[str, dict[str, int]]:  # noqa: ARG001
    """Make the outputs of one stored original; running it again writes the same files.

    ``stem`` names the outputs to clients.  It is an argument so that whoever looks at the
    job sees what it was for; no path is made of it.
    """
    source = storage().path(f"originals/{upload_id}")
    if source is None:
        raise Abort("missing_original: The uploaded file is no longer there.")
    try:
        outputs = render(source, limits(), current_job.update_progress)
    except BadImage as error:
        # The same bytes would fail the same way, so a retry would only be later.
        raise Abort(f"{error.code}: {error.detail}") from error
    try:
        for variant, output in outputs.items():
            storage().put(output_key(upload_id, variant), output.data)
    except StorageFull as error:
        # Somebody will make room; until then no attempt is used up.
        raise Snooze(_FULL_SECONDS) from error
    return {variant: _facts(output) for variant, output in outputs.items()}


def output_key(upload_id: str, variant: str) -> str:
    """Say where an output lies; independent of every name that a client chose."""
    return f"processed/{upload_id}/{variant}.jpeg"


def _facts(output: Output) -> dict[str, int]:
    return {"width": output.width, "height": output.height, "bytes": len(output.data)}
