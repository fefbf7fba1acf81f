"""Every documented request, with odd values: never a server error, always as documented."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from schemathesis import checks

from services.imaging.tests import pictures
from services.imaging.tests.running import Running

KEY = "a-key-of-alices"
MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module", params=["open", "keyed"])
def fuzzed(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("fuzzed")) as running:
        # Never many pictures, and none that a client keeps waiting for.
        said = {"IMAGING_MAX_PENDING": "50", "IMAGING_UPLOAD_SECONDS": "2"}
        if request.param == "keyed":
            said["IMAGING_API_KEYS"] = f"alice:{KEY}"
            running.client.headers["x-api-key"] = KEY
        running.start(**said)
        yield running


def test_every_documented_request_is_answered_as_documented(fuzzed: Running) -> None:
    schema = schemathesis.openapi.from_dict(fuzzed.get("/openapi.json"))
    known = fuzzed.client.put("/upload", content=pictures.photograph()).json()["id"]
    # An event is an object to schemathesis, and a text to FastAPI, which describes that route.
    described = schema.exclude(path="/tasks/jobs/{job_id}/progress")
    operations = [cast("Any", found).ok() for found in described.get_all_operations()]
    assert len(operations) > 20

    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def answered(data: st.DataObject, operation: Any) -> None:
        mode = data.draw(st.sampled_from(MODES))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        for name in ("upload_id", "job_id"):
            if name in case.path_parameters and data.draw(st.booleans()):
                case.path_parameters[name] = known
        key = data.draw(st.sampled_from([{"x-api-key": KEY}, {}]))
        response = case.call(base_url=fuzzed.url, headers=key, timeout=20)
        case.validate_response(response, checks=CHECKS)

    for operation in operations:
        answered(operation=operation)
