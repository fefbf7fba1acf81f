"""Values ↔ bytes: arguments and results as JSON, typed by the task's own annotations.

Nothing is pickled, and no name found in the data is ever imported or looked up as code: the
annotations of the function that reads a value say what it becomes.
"""

from offload.codec.reading import decode_untyped, to_json
from offload.codec.signature import ARGUMENTS_LIMIT, RESULT_LIMIT, Caps, Signature
from offload.codec.writing import encode_plain, encode_untyped

__all__ = [
    "ARGUMENTS_LIMIT",
    "RESULT_LIMIT",
    "Caps",
    "Signature",
    "decode_untyped",
    "encode_plain",
    "encode_untyped",
    "to_json",
]
