"""libvips, switched to what is safe with files from strangers.

Everything else imports ``vips`` from here, so no picture is opened before the switches
are set, in whichever process it happens.
"""

import logging
from typing import Any

import pyvips  # type: ignore[import-untyped]

vips: Any = pyvips

# It warns of every oddity in a client's file; what matters of that reaches the client.
logging.getLogger("pyvips").setLevel(logging.ERROR)

# Pictures run beside each other, one thread each: on the same cores this is as fast as
# several threads a picture, and it needs far less memory.
vips.concurrency_set(1)
# Nothing is opened twice, so remembered operations would only hold on to memory.
vips.cache_set_max(0)

# An allow-list, because libvips picks the decoder by content: it would render an SVG, and
# run its XML parser, behind a name that ends in .jpg.
_ALLOWED = ("Jpeg", "Png", "Webp", "Nsgif", "Heif")
vips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003 -- the C API's own signature
for _loader in _ALLOWED:
    vips.operation_block_set(f"VipsForeignLoad{_loader}", False)  # noqa: FBT003 -- as above
