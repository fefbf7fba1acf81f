"""What the service is like, and how it is."""

from fastapi import APIRouter

from imaging.formats import ACCEPTED
from imaging.schemas import Accepts, Health, PresetInfo
from imaging.settings import settings

_LIMITS = {"max_bytes", "max_pixels", "max_side", "max_files"}

router = APIRouter()


@router.get("/limits")
async def limits() -> Accepts:
    """Say what is accepted."""
    return Accepts(types=list(ACCEPTED), **settings().model_dump(include=_LIMITS))


@router.get("/presets")
async def presets() -> list[PresetInfo]:
    """Say what is made of every picture."""
    config = settings()
    sides = {"resized_compressed": config.resized_side, "thumbnail": config.thumbnail_side}
    return [
        PresetInfo(
            name=name,
            width=side,
            height=side,
            fit="inside",
            format="jpeg",
            quality=config.jpeg_quality,
        )
        for name, side in sides.items()
    ]


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process answers."""
    return Health()
