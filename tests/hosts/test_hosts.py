"""Two web processes, two workers and the store's server, each on a host of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.network import command
from tests.hosts.scene import CROWD, TIMES
from tests.worker.staging import ROOT

PATIENCE = 100.0


@pytest.mark.timeout(PATIENCE + 20)
@pytest.mark.parametrize("store", ["postgres", "redis"])
def test_hosts_share_a_queue(store: str, tmp_path: Path) -> None:
    kind, words = command(sys.executable, "-m", "tests.hosts.scene", store, str(tmp_path))
    played = subprocess.run(
        [*words, kind], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    logs = {path.name: path.read_text() for path in tmp_path.glob("log-*")}
    assert played.returncode == 0, played.stderr + "".join(log[-3000:] for log in logs.values())
    sys.stdout.write(f"{store}: {json.dumps(json.loads(played.stdout), indent=1)}\n")
    found = json.loads(played.stdout)
    assert found["network"] == kind
    # Who was cut off has lost its job, came too late with its end, and works on.
    first, second, last = found["leases"]
    assert first < second == last
    assert found["result"] == found["result afterwards"] == f"lease {second}"
    assert found["ended by"] == [["passed", "far"], ["passed", "near"]]
    assert "taken over by another worker: its end is dropped" in logs["log-far"]
    assert found["works on"] == "done"
    assert found["exits"] == [None, None]
    # Limits hold over both, and ticks fire once.
    assert found["limited on"] == ["far", "near"]
    assert found["most at once"] == 3
    assert found["shortest gap, ms"] >= 50
    assert found["ticks"] == found["different ticks"] >= 3
    # Reports reach streams of another process; who else listens costs the store nothing.
    alone, crowd = (found[f"for {clients}"] for clients in (1, CROWD))
    assert alone["reports heard"] >= crowd["reports heard"] >= 1
    assert crowd["store operations"] <= alone["store operations"] + TIMES
