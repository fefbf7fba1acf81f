"""The schema, as numbered scripts that only ever go forward."""
