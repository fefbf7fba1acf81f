"""Backoff: bounds, jitter, and what is refused."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from offload.core.errors import ConfigurationError, OffloadError
from offload.core.retry import RetryPolicy

seconds = st.floats(0.001, 1e6)
policies = st.builds(RetryPolicy, st.integers(0, 100), seconds, seconds)
draws = st.floats(0, 1, exclude_max=True)
ALMOST_ONE = math.nextafter(1.0, 0.0)


def full(policy: RetryPolicy, retry: int) -> float:
    """The interval before its upper half is taken, by repeated doubling."""
    wait = policy.backoff
    for _ in range(retry - 1):
        if wait >= policy.max_delay:
            break
        wait *= 2
    return min(wait, policy.max_delay)


def test_the_defaults() -> None:
    policy = RetryPolicy()
    assert (policy.max_retries, policy.backoff, policy.max_delay) == (3, 1.0, 300.0)


@pytest.mark.parametrize(
    ("retry", "least", "most"),
    [(1, 0.5, 1.0), (2, 1.0, 2.0), (3, 2.0, 4.0), (9, 128.0, 256.0), (10, 150.0, 300.0)],
)
def test_it_doubles_up_to_the_cap(retry: int, least: float, most: float) -> None:
    assert RetryPolicy().delay(retry, lambda: 0.0) == least
    assert RetryPolicy().delay(retry, lambda: ALMOST_ONE) == pytest.approx(most)


@given(policies, st.integers(1, 3000), draws)
def test_the_wait_is_in_the_upper_half_of_the_interval(
    policy: RetryPolicy, retry: int, draw: float
) -> None:
    wait = policy.delay(retry, lambda: draw)
    assert full(policy, retry) / 2 <= wait <= full(policy, retry)
    assert 0 < wait <= policy.max_delay


@given(policies, st.integers(1, 3000), draws)
def test_a_later_retry_never_waits_less_on_the_same_draw(
    policy: RetryPolicy, retry: int, draw: float
) -> None:
    assert policy.delay(retry, lambda: draw) <= policy.delay(retry + 1, lambda: draw)


@given(policies, st.integers(1, 50))
def test_jitter_uses_the_whole_upper_half(policy: RetryPolicy, retry: int) -> None:
    # A burst of failures must not come back as a burst.
    waits = [policy.delay(retry, lambda draw=draw / 8: draw) for draw in range(8)]  # type: ignore[misc]
    shares = [wait / waits[0] for wait in waits]
    assert shares == pytest.approx([1 + draw / 8 for draw in range(8)])


def test_chance_is_asked_once_and_only_from_outside() -> None:
    asked: list[float] = []

    def rng() -> float:
        asked.append(0.5)
        return 0.5

    assert RetryPolicy().delay(1, rng) == 0.75
    assert len(asked) == 1


def test_any_number_of_retries_is_bounded() -> None:
    assert RetryPolicy().delay(10**9, lambda: 0.0) == 150.0


def test_zero_backoff_retries_at_once() -> None:
    assert RetryPolicy(backoff=0.0).delay(5, lambda: 0.9) == 0.0


@pytest.mark.parametrize("field", ["max_retries", "backoff", "max_delay"])
def test_a_negative_number_is_refused_by_name(field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}=-1: must be 0 or more") as caught:
        RetryPolicy(**{field: -1})  # type: ignore[arg-type]
    assert isinstance(caught.value, OffloadError | ValueError)


@pytest.mark.parametrize("field", ["backoff", "max_delay"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_of_seconds_is_refused_by_name(field: str, value: float) -> None:
    # It would be an instant that no store can keep, so a job that can neither run nor end.
    with pytest.raises(ConfigurationError, match=field):
        replace(RetryPolicy(), **{field: value})  # type: ignore[arg-type]
