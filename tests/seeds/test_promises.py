"""Every sentence of the seeds is kept, or it is said why not."""

import pytest

from tests.seeds.reading import (
    ROOT,
    SEEDS,
    Code,
    Promise,
    codes,
    is_test,
    plain,
    promises,
    said,
    table,
    text_of,
)

CODE = [code for seed in SEEDS for code in codes(seed)]


@pytest.mark.parametrize("promise", promises(), ids=lambda each: f"{each.seed}: {each.quote[:40]}")
def test_a_promise_is_shown_or_differs(promise: Promise) -> None:
    assert text_of(promise.seed).count(promise.quote) == 1, "the quote is not the seed's, or twice"
    assert bool(promise.tests) != bool(promise.difference), "one of test and difference"
    assert promise.difference is None or promise.difference in table()["differences"]
    assert [name for name in promise.tests if not is_test(name)] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_a_seed_says_is_left_out(seed: str) -> None:
    text = text_of(seed)
    quoted = set()
    for promise in promises():
        if promise.seed == seed:
            start = text.index(promise.quote)
            quoted |= set(range(start, start + len(promise.quote)))
    left_out = [words for start, end, words in said(seed) if not quoted & set(range(start, end))]
    assert left_out == []


@pytest.mark.parametrize("code", CODE, ids=lambda code: f"{code.seed}:{code.start + 1}")
def test_a_block_of_code_is_run_as_it_stands(code: Code) -> None:
    assert code.tests
    assert [name for name in code.tests if not is_test(name)] == []
    if code.file is not None:
        wanted = plain(code.lines)
        there = plain((ROOT / code.file).read_text(encoding="utf-8").splitlines())
        places = range(len(there) - len(wanted) + 1)
        assert any(there[place : place + len(wanted)] == wanted for place in places), wanted


def test_each_difference_is_one_of_a_promise() -> None:
    named = {promise.difference for promise in promises()}
    assert set(table()["differences"]) == named - {None}


def test_what_is_no_test_is_found() -> None:
    here = "tests/seeds/test_promises.py"
    assert is_test(f"{here}::test_what_is_no_test_is_found")
    assert not is_test(f"{here}::test_of_something_else")
    assert not is_test(f"{here}::CODE")
    assert not is_test("tests/seeds/nothing.py::test_what_is_no_test_is_found")
    assert is_test(
        "tests/store/test_sqlite_file.py::TestSchema::test_a_row_that_can_be_is_not_refused"
    )
