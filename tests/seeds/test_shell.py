"""What seed 001 shows of curl and of scripts, as it is typed."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fastapi.serving import Site, served
from tests.seeds.reading import HERE, codes
from tests.seeds.running import PATIENCE, serving, started, with_worker

SERVER = "http://localhost:8000"
JOB = "01H5K6X..."
CALLER = "import myapp; print(myapp.resize_image.delay('a.jpg', [64, 128]).id)"
# Where the reader's own resizing would be.
RESIZING = '\n\ndef do_resize(url, size):\n    return f"{url}@{size}"\n'


def typed(first: str, address: str, job_id: str) -> str:
    """Return what a block of the seed prints, typed into a shell for this server and job."""
    if not shutil.which("curl"):
        assert os.environ.get("CI") != "true", "CI must have curl"
        pytest.skip("there is no curl on this machine")
    [block] = [code for code in codes("001") if code.lines[0] == first]
    text = "\n".join(block.lines).replace(SERVER, address).replace(JOB, job_id)
    done = subprocess.run(
        ["sh", "-ec", text],
        env=os.environ | {"no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_results_with_curl(seed: Any) -> None:
    module = seed("001_quick")
    with served(with_worker(module)) as address:
        job = module.process_data.delay({"a": 1})
        printed = typed("# Non-blocking (default)", address, job.id)
    now, end = json.JSONDecoder().raw_decode(printed)
    assert now["id"] == job.id
    later = json.loads(printed[end:])
    assert (later["status"], later["result"]) == ("complete", "done")


def test_a_worker_in_a_process_of_its_own_and_curl(
    tmp_path: Path, listening: socket.socket
) -> None:
    text = (HERE / "seed_001_full.py").read_text(encoding="utf-8")
    (tmp_path / "myapp.py").write_text(text + RESIZING, encoding="utf-8")
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    call = [sys.executable, "-c", CALLER]
    with (
        serving(tmp_path, listening, "myapp:app"),
        started(tmp_path, "offload", "worker", "--app", "myapp:queue", ready="serving"),
    ):
        job_id = subprocess.check_output(call, cwd=tmp_path, text=True, timeout=PATIENCE).strip()
        shown = json.loads(typed("# Check job status", address, job_id))
        stream = typed("# Stream progress", address, job_id)
        result = json.loads(typed("# Block for result (up to 60s)", address, job_id))
    assert shown["id"] == job_id
    assert 'data: {"progress": 100, "status": "complete"}' in stream.splitlines()
    assert result["result"] == {"64": "a.jpg@64", "128": "a.jpg@128"}


def test_the_stream_as_a_script(site: Site) -> None:
    script = (HERE / "seed_001_stream.py").read_text(encoding="utf-8")
    with site.client(worker=True) as client:
        job = site.work.delay()
        address = str(client.base_url).removesuffix("/tasks/")
        script = script.replace(SERVER, address).replace(JOB, job.id)
        site.commands.put(25)
        steps = {25: 50, 50: 100, 100: None}
        with subprocess.Popen(
            [sys.executable, "-uc", script], stdout=subprocess.PIPE, text=True
        ) as printing:
            assert printing.stdout is not None
            told = []
            for line in printing.stdout:
                if line.startswith("data:"):
                    told.append(json.loads(line[5:]))
                    # The job goes on when the script has shown how far it is.
                    if (percent := told[-1]["progress"]) in steps:
                        site.commands.put(steps.pop(percent))
    assert printing.returncode == 0
    assert steps == {}
    running = [each["progress"] for each in told if each["status"] == "running"]
    assert [percent for percent in running if percent] == [25, 50, 100]
    assert told[-1] == {"progress": 100, "status": "complete"}
