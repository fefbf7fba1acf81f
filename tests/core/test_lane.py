import pytest

from offload.core.errors import ConfigurationError
from offload.core.lane import Lane, interval_of, opens_at


@pytest.mark.parametrize(
    ("rate", "interval"),
    [("1/s", 1.0), ("10/s", 0.1), ("100/m", 0.6), ("2/h", 1800), ("1/d", 86400)],
)
def test_a_rate_is_an_interval(rate: str, interval: float) -> None:
    assert interval_of(rate) == pytest.approx(interval)


@pytest.mark.parametrize("rate", ["", "10", "10/", "/s", "0/s", "-1/s", "1.5/s", "10/w", "1/s "])
def test_anything_else_is_refused_with_the_way_out(rate: str) -> None:
    with pytest.raises(ConfigurationError, match="write a number, a slash"):
        interval_of(rate)


def test_a_lane_is_limited_by_either() -> None:
    limited = [lane.limited for lane in (Lane("a"), Lane("a", 0.1), Lane("a", max_running=1))]
    assert limited == [False, True, True]


@pytest.mark.parametrize(
    ("interval", "last_start", "opens"),
    [
        (None, 900, 1000),
        (0.5, None, 1000),
        (0.5, 900, 1400),
        (1 / 3, 900, 1234),  # rounded up: three starts take a second and not less
        (0.5, 1001, 1000),  # the clock was set back
    ],
)
def test_when_a_lane_opens(interval: float | None, last_start: int | None, opens: int) -> None:
    assert opens_at(interval, last_start, now=1000) == opens
