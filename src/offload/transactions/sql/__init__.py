"""Statements of the outbox and the markers; `{outbox}`, `{name}` and `{text}` are filled in."""
