"""What the service is like, and how it is."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from imaging import health, metrics
from imaging.errors import problems
from imaging.formats import ACCEPTED
from imaging.schemas import Accepts, Health, PresetInfo, Readiness
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


@router.get(
    "/readyz", responses={503: {"model": Readiness, "description": "It can take no picture now."}}
)
async def readyz(response: Response) -> Readiness:
    """Say whether the queue and the storage answer, and whether a worker is alive."""
    found = await health.readiness()
    response.status_code = 503 if found.status == "unready" else 200
    return found


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=problems("queue_unavailable"),
)
async def numbers() -> PlainTextResponse:
    """Give numbers in the text format of Prometheus."""
    return PlainTextResponse(await metrics.text(), media_type=metrics.MEDIA_TYPE)
