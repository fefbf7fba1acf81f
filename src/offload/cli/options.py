"""What several commands ask for, and how it is read."""

import re
from typing import Annotated, Any, cast

import typer

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

AppOption = Annotated[
    str,
    typer.Option(
        "--app", "-A", envvar="OFFLOAD_APP", metavar="MODULE:QUEUE",
        help="Where the queue is: module:queue, as in app:queue.",
    ),
]  # fmt: skip
GroupAppOption = Annotated[
    str | None,
    typer.Option(
        "--app", "-A", envvar="OFFLOAD_APP", metavar="MODULE:QUEUE",
        help="Where the queue is: module:queue, as in app:queue.",
    ),
]  # fmt: skip
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def duration(text: str) -> float:
    """Read a duration such as 90s, 10m, 24h or 7d, in seconds."""
    found = re.fullmatch(r"(\d{1,9})([smhd])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r}: write a duration, as in 90s, 10m, 24h or 7d")
    return float(found[1]) * UNITS[found[2]]


def size(text: str) -> int:
    """Read a number of bytes such as 512MB or 2GB."""
    found = re.fullmatch(r"(\d+)\s*([KMG]?)I?B?", text.strip().upper())
    if found is None or not int(found[1]):
        raise typer.BadParameter(f"{text!r}: write a size, as in 512MB or 2GB")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def names(text: str | None) -> list[str] | None:
    """Read words with commas between them."""
    if text is None:
        return None
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise typer.BadParameter(f"{text!r}: write names, as in mails,images")
    return found


AgeOption = Annotated[
    float | None,
    typer.Option(
        "--older-than", parser=duration, metavar="AGE", show_default="24h",
        help="Spare what is younger: 90s, 10m, 24h, 7d.",
    ),
]  # fmt: skip


def group() -> typer.Typer:
    """Return commands of one kind; --app and --json before their name hold for them too."""
    return typer.Typer(invoke_without_command=True)


def asked_of(context: typer.Context, app: str | None, *, as_json: bool) -> str | None:
    """Return the application if the group itself is asked, None if one of its commands is."""
    if context.invoked_subcommand is None:
        if app is None:
            raise typer.BadParameter("say where the queue is, as in --app app:queue")
        return app
    given: dict[str, Any] = {} if app is None else {"app": app}
    if as_json:
        given["as_json"] = True
    context.default_map = dict.fromkeys(cast("Any", context.command).commands, given)
    return None
