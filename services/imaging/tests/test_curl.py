"""The first use anyone makes of such a service: curl, typed as service guides show it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.running import Running

UPLOAD = """\
curl -s -X POST "http://localhost:8000/upload" \\
  -H "accept: application/json" \\
  -H "Content-Type: multipart/form-data" \\
  -F "file=@sample.jpg;type=image/jpeg"
"""
STATUS = """curl -s -X GET "http://localhost:8000/upload/${TASK_ID}/status" """
RESULT = """curl -s -X GET "http://localhost:8000/upload/${TASK_ID}/result" """
DOWNLOAD = """curl -s -o final_thumbnail.jpeg "http://localhost:8000${THUMBNAIL_PATH}" """


def test_the_flow_works_as_it_is_typed(service: Running, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        assert os.environ.get("CI") != "true", "CI must have curl"
        pytest.skip("there is no curl on this machine")
    shutil.copy(pictures.sample("mountains.jpg"), tmp_path / "sample.jpg")

    def typed(command: str, **variables: str) -> str:
        # Only the port is another: the tests leave 8000 to whoever works on this machine.
        script = command.replace(":8000", f":{service.port}")
        return subprocess.run(
            ["/bin/sh", "-ec", script],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "no_proxy": "localhost", **variables},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    upload = json.loads(typed(UPLOAD))
    assert list(upload) == ["id", "task_id", "filename", "status_url", "result_url", "message"]
    assert upload["filename"] == "sample.jpg"
    task = upload["task_id"]

    status = json.loads(typed(STATUS, TASK_ID=task))["status"]
    assert status in {"PENDING", "PROGRESS", "SUCCESS"}
    service.finished(task)
    assert json.loads(typed(STATUS, TASK_ID=task))["status"] == "SUCCESS"

    result = json.loads(typed(RESULT, TASK_ID=task))
    folder = f"/files/processed/{task}"
    assert result["status"] == "SUCCESS"
    assert result["result"] == {
        "resized_compressed": f"{folder}/sample_resized_compressed.jpeg",
        "thumbnail": f"{folder}/sample_thumbnail.jpeg",
    }
    typed(DOWNLOAD, THUMBNAIL_PATH=result["result"]["thumbnail"])
    image = pictures.load((tmp_path / "final_thumbnail.jpeg").read_bytes())
    assert (image.width, image.height) == (256, 192)
