"""News of a run as JSON, for they may have to travel from another process."""

from collections.abc import Mapping
from typing import Any

from offload.core.records import LogLine, Report


def to_wire(report: Report) -> dict[str, Any]:
    """Return a report as plain JSON; what is not said is left out."""
    message: dict[str, Any] = {"report": [report.job_id, report.lease]}
    if report.progress is not None:
        message["progress"] = report.progress
    if report.message is not None:
        message["message"] = report.message
    if report.data is not None:
        message["data"] = report.data.decode()
    if report.logs:
        message["logs"] = [[line.level, line.message, line.extra] for line in report.logs]
    if report.parts:
        message["parts"] = [part.decode() for part in report.parts]
    return message


def from_wire(message: Mapping[str, Any]) -> Report:
    """Return the report that `to_wire` wrote."""
    job_id, lease = message["report"]
    data = message.get("data")
    return Report(
        job_id,
        lease,
        message.get("progress"),
        message.get("message"),
        None if data is None else data.encode(),
        tuple(LogLine(*line) for line in message.get("logs", ())),
        tuple(part.encode() for part in message.get("parts", ())),
    )
