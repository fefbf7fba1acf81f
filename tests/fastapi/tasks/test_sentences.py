"""Each sentence of the semantics of request tasks has a test whose name carries its id."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
SENTENCES = {"t": 6, "p": 4, "e": 6, "s": 5, "i": 5, "l": 3, "c": 4, "d": 3, "b": 6}
"""How many there are of each letter: timing, policy, errors, shutdown, identity, limits,
context, durable, drop-in."""


def test_no_sentence_is_without_a_test() -> None:
    said = set()
    for folder in (TESTS / "inproc", TESTS / "fastapi" / "tasks"):
        for path in folder.glob("test_*.py"):
            for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8")):
                said.update(re.findall(r"_([a-z]\d)(?=_)", name))
    wanted = {f"{letter}{n + 1}" for letter, most in SENTENCES.items() for n in range(most)}
    assert wanted - said == set()
