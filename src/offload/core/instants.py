"""Moments as people give them, in the integer Unix milliseconds that jobs carry."""

from datetime import UTC, datetime, timedelta, tzinfo

from offload.core.errors import ConfigurationError

EPOCH = datetime.fromtimestamp(0, UTC)


def instant(name: str, moment: object) -> int:
    """Return a moment, a datetime with a time zone or Unix milliseconds, as the latter.

    Raises:
        ConfigurationError: it is neither; `name` is the option that it was given for.
    """
    if isinstance(moment, int) and not isinstance(moment, bool):
        return moment
    if not isinstance(moment, datetime):
        raise ConfigurationError(f"{name}={moment!r}: give a datetime, or Unix milliseconds")
    if moment.tzinfo is None:
        raise ConfigurationError(f"{name}={moment!r} has no time zone: use datetime.now(tz=…)")
    return round(moment.timestamp() * 1000)


def moment(instant: int, place: tzinfo | None = None) -> datetime:
    """Return Unix milliseconds as a datetime in a time zone, UTC if none is given."""
    return (EPOCH + timedelta(milliseconds=instant)).astimezone(place or UTC)
