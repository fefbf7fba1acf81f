"""Which saying wins, and what each may be."""

from math import inf
from typing import Any

import pytest

from offload.core.errors import ConfigurationError
from offload.core.instants import instant
from offload.core.options import NAME, Options, QueueOptions, checked, over, retry_policy
from offload.core.retry import RetryPolicy


def test_none_says_nothing() -> None:
    assert checked(Options(priority=None, timeout=5), Options) == {"timeout": 5}


def test_the_stronger_comes_before_the_weaker() -> None:
    assert over({"priority": 0, "queue": "a"}, {"priority": 2, "timeout": 3}) == {
        "priority": 0,
        "queue": "a",
        "timeout": 3,
    }


def test_a_backoff_lifts_a_weaker_list_and_a_list_a_weaker_backoff() -> None:
    listed: dict[str, Any] = {"retry_delays": [1, 2]}
    backed: dict[str, Any] = {"retry_backoff": 9}
    assert over(backed, listed) == backed
    assert over({"max_retry_delay": 9}, listed) == {"max_retry_delay": 9}
    merged: Options = over(listed, backed)  # type: ignore[assignment]
    assert retry_policy(merged).delay(1, lambda: 0.0) == 1
    lifted: Options = over({"retry_delays": []}, listed)  # type: ignore[assignment]
    assert retry_policy(lifted) == RetryPolicy()


def test_an_option_of_a_call_is_none_of_a_queue() -> None:
    with pytest.raises(ConfigurationError, match="unknown option 'queue'; there are: max_retries"):
        checked({"queue": "a"}, QueueOptions)  # type: ignore[type-var]


def test_infinity_is_a_timeout_but_no_delay() -> None:
    assert checked(Options(timeout=inf, expires=inf), Options)
    with pytest.raises(ConfigurationError, match="retry_backoff=inf"):
        checked(Options(retry_backoff=inf), Options)


@pytest.mark.parametrize("name", ["a", "ä b/c:1", "😀", "line\nbreak"])
def test_names_may_hold_any_text(name: str) -> None:
    assert NAME[1](name)


@pytest.mark.parametrize("name", ["", "\0", "a\0b", "\ud800", 1, None, b"a"])
def test_names_are_texts_that_every_store_can_keep(name: object) -> None:
    assert not NAME[1](name)


def test_unix_milliseconds_are_a_moment() -> None:
    assert instant("eta", 1_700_000_000_000) == 1_700_000_000_000
