"""Names from outside are words to show, and never more than that."""

import uuid

import pytest

from imaging import names


@pytest.mark.parametrize(
    ("raw", "shown", "stem"),
    [
        ("sample.jpg", "sample.jpg", "sample"),
        ("my photo (1).JPG", "my photo (1).JPG", "my-photo-1"),
        ("../../etc/x", "x", "x"),
        ("..\\..\\windows\\x.png", "x.png", "x"),
        ("/etc/passwd", "passwd", "passwd"),
        ("a\0b.jpg", "ab.jpg", "ab"),
        ("..", "..", "image"),
        ("", "image", "image"),
        (None, "image", "image"),
        ("日本.png", "日本.png", "日本"),
        ("cafe\u0301.jpg", "café.jpg", "café"),
        ("photo\u202egpj.exe", "photogpj.exe", "photogpj"),
        ("a\r\nSet-Cookie: x.jpg", "aSet-Cookie: x.jpg", "aSet-Cookie-x"),
        ("holiday.tar.gz", "holiday.tar.gz", "holiday.tar"),
        (".htaccess", ".htaccess", "htaccess"),
        ("50%25.png", "50%25.png", "50-25"),
    ],
)
def test_names_are_shown_but_lead_nowhere(raw: str | None, shown: str, stem: str) -> None:
    assert names.display_name(raw) == shown
    assert names.stem_of(shown) == stem


def test_long_names_are_cut() -> None:
    assert len(names.display_name("x" * 5000)) == 255
    assert len(names.stem_of("x" * 255)) == 80


def test_ids_are_random_and_recognised() -> None:
    made = [names.new_id() for _ in range(100)]
    assert {uuid.UUID(one).version for one in made} == {4}
    assert len(set(made)) == 100
    assert all(names.is_id(one) for one in made)


@pytest.mark.parametrize("text", ["", "x", "../x", "0" * 36, "\0", "é" * 36, "A" * 36])
def test_other_text_is_no_id(text: str) -> None:
    assert not names.is_id(text)
