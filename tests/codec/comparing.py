"""Comparison by value and type: `==` alone takes 1, 1.0 and True for one."""

from datetime import datetime, time


def typed(value: object) -> object:
    """Return something that is equal only for values of the same types throughout."""
    if isinstance(value, dict):
        return dict, [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), frozenset((type(item), item) for item in value)
    if isinstance(value, datetime | time):
        # A zone comes back as its offset; `fold` without a zone says nothing.
        return type(value), value.isoformat()
    return type(value), repr(value)
