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
    return [PresetInfo(**preset.model_dump()) for preset in settings().presets]


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process answers."""
    return Health()
