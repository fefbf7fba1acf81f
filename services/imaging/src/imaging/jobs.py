"""The queue and its tasks on pictures.  They fetch and store; decoding is for `cell`."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from imaging import manifest as manifests
from imaging.cell import Cell, render_in
from imaging.manifest import Manifest, manifest_key, original_key, output_key
from imaging.orders import Limits, Order, Rendered
from imaging.presets import Preset
from imaging.settings import settings
from imaging.storage import NotStored, Storage, StorageFull, open_storage
from offload import Abort, IsolatedError, JobHandle, LockLost, Queue, Snooze, current_job

queue = Queue(settings().queue, workers=settings().workers)

# Waiting for another run of the same picture counts, too; decoding has its own limit.
_PATIENCE = 300
# So long does a picture wait whose worker was killed over it, and holds up a slot meanwhile.
_HANDOVER_SECONDS = 3.0
# A finished job's result is read from the store, so this is a bound and not a wait.
_READ_SECONDS = 5.0
_FULL_SECONDS = 5
_LATER = -10


@lru_cache
def storage() -> Storage:
    """Open the storage at first use, so that importing this module makes no folder."""
    return open_storage(settings())


def limits() -> Limits:
    """Hand the settings that concern pictures to the pipeline."""
    config = settings()
    return Limits(max_pixels=config.max_pixels, max_side=config.max_side)


def cell() -> Cell:
    """Hand the settings that concern decoders to their processes."""
    config = settings()
    return Cell(
        config.picture_memory,
        config.picture_cpu_seconds,
        config.picture_seconds,
        network=config.picture_network,
    )


@queue.task(
    queue="images",
    timeout=_PATIENCE,
    max_retries=3,
    retry_backoff=2.0,
    max_concurrency=settings().owner_concurrency,
    limit_key="owner" if settings().owner_concurrency else None,
)
async def process_image(sha256: str, stem: str, owner: str | None = None) -> Manifest:  # noqa: ARG001
    """Make the outputs of one stored original, unless that was done for an earlier upload.

    ``stem`` names the outputs to clients.  It is an argument so that whoever looks at the
    job sees what it was for; no path is made of it.  Of one ``owner`` not all that wait may
    run at once.
    """
    # Several uploads of one photograph may arrive at once: one of them works.  If two do, it
    # costs time and nothing else, for they make the same and it is stored once.
    with suppress(LockLost):
        async with queue.alock(f"image:{sha256}", ttl=_HANDOVER_SECONDS):
            found = await _known(sha256) or await _made(sha256)
    if found.lacks(settings().presets):
        # Returns the job that there is, if another upload has asked for it.
        await encode_avif.aapply_async((sha256,), unique_key=f"avif:{sha256}", tags=["avif"])
    return found


@queue.task(
    queue="avif",
    priority=_LATER,
    timeout=_PATIENCE,
    max_retries=2,
    retry_backoff=2.0,
    max_concurrency=settings().avif_workers,
)
async def encode_avif(sha256: str) -> Manifest:
    """Make the outputs that take long, and add them to the manifest.

    Few run at once and they start last, so no upload waits for them.
    """
    found = await _known(sha256)
    if found is None:
        raise Abort("missing_manifest: The picture is no longer there.")
    slow = found.lacks(settings().presets)
    if not slow:
        return found
    rendered = await _rendered(sha256, slow)
    return await _noted(found.with_variants(manifests.variants_of(sha256, slow, rendered.outputs)))


async def manifest_of(job: JobHandle[Any]) -> Manifest | None:
    """Give what is known of an upload's picture by now; None while it is not processed."""
    if job.status != "complete":
        return None
    found: Manifest = await job.aresult(timeout=_READ_SECONDS)
    if not found.lacks(settings().presets):
        return found
    return await _read(found.key) or found


async def _known(sha256: str) -> Manifest | None:
    return await _read(manifest_key(sha256, settings().presets))


async def _read(key: str) -> Manifest | None:
    data = await asyncio.to_thread(storage().read, key)
    return Manifest.model_validate_json(data) if data else None


async def _made(sha256: str) -> Manifest:
    presets = settings().presets
    quick = [preset for preset in presets if not preset.is_slow]
    rendered = await _rendered(sha256, quick)
    current_job.log("decoded", outputs=[preset.name for preset in quick])
    new = manifests.described(manifest_key(sha256, presets), sha256, rendered)
    return await _noted(new.with_variants(manifests.variants_of(sha256, quick, rendered.outputs)))


async def _noted(found: Manifest) -> Manifest:
    async with _room():
        await asyncio.to_thread(storage().put, found.key, found.model_dump_json().encode())
    return found


async def _rendered(sha256: str, presets: Sequence[Preset]) -> Rendered:
    """Render these presets of a stored original, and store what comes out."""
    async with _room(), _original(sha256) as path, _orders(presets) as orders:
        rendered = await render_in(cell(), path, limits(), orders)
        await asyncio.to_thread(_store, sha256, orders)
    return rendered


@asynccontextmanager
async def _room() -> AsyncIterator[None]:
    """Try again later where there is no room: somebody will make some, and no attempt is used."""
    try:
        yield
    except StorageFull as error:
        raise Snooze(_FULL_SECONDS) from error
    except IsolatedError as error:
        # The engine writes its files itself, and has only words for it.
        if os.strerror(errno.ENOSPC) in str(error):
            raise Snooze(_FULL_SECONDS) from error
        raise


@asynccontextmanager
async def _original(sha256: str) -> AsyncIterator[Path]:
    fetching = storage().local(original_key(sha256))
    try:
        path = await asyncio.to_thread(fetching.__enter__)
    except NotStored:
        raise Abort("missing_original: The uploaded file is no longer there.") from None
    try:
        yield path
    finally:
        await asyncio.to_thread(fetching.__exit__, None, None, None)


@asynccontextmanager
async def _orders(presets: Sequence[Preset]) -> AsyncIterator[list[Order]]:
    """Give each preset a file to write to; what is not adopted is removed."""
    orders: list[Order] = []
    try:
        orders = await asyncio.to_thread(
            lambda: [Order(preset, storage().temporary()) for preset in presets]
        )
        yield orders
    finally:
        await asyncio.to_thread(_discard, orders)


def _discard(orders: Sequence[Order]) -> None:
    for order in orders:
        order.target.unlink(missing_ok=True)


def _store(sha256: str, orders: Sequence[Order]) -> None:
    for order in orders:
        key = output_key(sha256, order.preset)
        # An earlier run may have come this far; what is stored is served as unchanging.
        if storage().stat(key) is None:
            storage().adopt(key, order.target)
