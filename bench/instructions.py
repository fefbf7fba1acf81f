"""How many instructions a request costs the server: `python -m bench.instructions KIND …`.

Needs valgrind. A count is the same on a busy machine, where times are not. Each kind of
`bench.requests` is served twice, with few requests and with more: what differs is theirs.
"""

import os
import re
import sys

from bench import requests

FEW, MORE = 100, 500
VALGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]


def collected(kind: str, count: int) -> int:
    """Return the instructions of a server that starts, is asked so often, and ends."""
    with requests.site(kind, under=VALGRIND) as site:
        site.measure(count)
        site.server.terminate()
        _, said = site.server.communicate()
    found = re.search(r"Collected : (\d+)", said)
    assert found, said
    return int(found[1])


def a_request(kind: str) -> float:
    """Return the instructions that one more request costs, in thousands."""
    return (collected(kind, MORE) - collected(kind, FEW)) / (MORE - FEW) / 1000


if __name__ == "__main__":
    os.environ["PYTHONHASHSEED"] = "0"
    for each in sys.argv[1:] or ["BackgroundTasks", "least", "offload"]:
        print(f"{each}: {a_request(each):,.0f} thousand", flush=True)
