"""The Kubernetes example: valid against its schemas, and true to the service."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from imaging.settings import Settings
from services.imaging.tests.running import Running
from services.imaging.tests.stacks import DEPLOY

FOLDER = DEPLOY / "kubernetes"
VERSION = "1.34"
"""The first in which a container may sleep before it stops without a shell."""
PREFIX = "IMAGING_"


def documents() -> list[dict[str, Any]]:
    return [
        document
        for file in sorted(FOLDER.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    ]


def deployment(part: str) -> dict[str, Any]:
    [found] = [d for d in documents() if (d["kind"], d["metadata"]["name"]) == ("Deployment", part)]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def container(part: str) -> dict[str, Any]:
    [found] = deployment(part)["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "document", documents(), ids=lambda d: f"{d['kind']}-{d['metadata']['name']}"
)
def test_every_document_is_valid(document: dict[str, Any]) -> None:
    if document["apiVersion"].startswith("keda.sh/"):
        # No schema of it is at hand; what there is to get wrong is tested below.
        assert set(document["spec"]["scaleTargetRef"]) == {"name"}
        return
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_schemas_find_what_is_wrong() -> None:
    # Or the test above would show nothing.
    wrong = next(d for d in documents() if d["kind"] == "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("part", ["imaging-api", "imaging-worker"])
class TestPods:
    def test_they_run_as_nobody_and_can_do_little(self, part: str) -> None:
        pod = deployment(part)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        own = container(part)["securityContext"]
        assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
        assert own["capabilities"] == {"drop": ["ALL"]}

    def test_secrets_are_not_in_the_files(self, part: str) -> None:
        said = {one["name"]: one for one in container(part)["env"]}
        assert container(part)["envFrom"] == [{"secretRef": {"name": "imaging"}}]
        assert {name.removeprefix(PREFIX).lower() for name in said} <= set(Settings.model_fields)
        assert not [name for name in said if "KEY" in name or "SECRET" in name or "URL" in name]

    def test_what_they_write_to_is_theirs(self, part: str) -> None:
        places = {mount["mountPath"]: mount["name"] for mount in container(part)["volumeMounts"]}
        kinds = {volume["name"]: set(volume) - {"name"} for volume in deployment(part)["volumes"]}
        assert {place: kinds[name] for place, name in places.items()} == {
            "/data": {"emptyDir"},
            "/tmp": {"emptyDir"},
        }


def test_a_pod_has_more_time_to_end_than_it_takes() -> None:
    api, worker = container("imaging-api"), container("imaging-worker")
    waits = api["lifecycle"]["preStop"]["sleep"]["seconds"]
    takes = int(api["args"][api["args"].index("--timeout-graceful-shutdown") + 1])
    assert waits + takes < deployment("imaging-api")["terminationGracePeriodSeconds"]
    grace = int(worker["args"][worker["args"].index("--grace") + 1])
    assert grace < deployment("imaging-worker")["terminationGracePeriodSeconds"]


def test_the_same_commands_run_as_in_compose() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert container("imaging-api")["args"] == compose["api"]["command"]
    assert container("imaging-worker")["args"] == compose["worker"]["command"]
    check = container("imaging-worker")["readinessProbe"]["exec"]["command"]
    assert ["CMD", *check] == compose["worker"]["healthcheck"]["test"]


def test_the_service_leads_to_the_api_alone() -> None:
    [service] = [d for d in documents() if d["kind"] == "Service"]
    [budget] = [d for d in documents() if d["kind"] == "PodDisruptionBudget"]
    labels = {"app": "imaging", "part": "api"}
    assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"] == labels
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in {p["name"] for p in container("imaging-api")["ports"]}


def test_the_probes_ask_what_the_service_answers(service: Running) -> None:
    probes = [container("imaging-api")[f"{kind}Probe"] for kind in ("startup", "liveness")]
    assert {probe["httpGet"]["path"] for probe in probes} == {"/healthz"}
    ready = container("imaging-api")["readinessProbe"]["httpGet"]
    assert ready["path"] == "/readyz"
    for path in ("/healthz", "/readyz"):
        assert service.client.get(path).status_code == 200
    ports = {port["name"]: port["containerPort"] for port in container("imaging-api")["ports"]}
    args = container("imaging-api")["args"]
    assert str(ports[ready["port"]]) == args[args.index("--port") + 1]


def test_workers_are_scaled_by_what_waits(service: Running) -> None:
    [scaled] = [d for d in documents() if d["kind"] == "ScaledObject"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == "imaging-worker"
    workers = next(d for d in documents() if d["metadata"]["name"] == "imaging-worker")
    assert "replicas" not in workers["spec"], "an apply would undo what was scaled"
    [trigger] = scaled["spec"]["triggers"]
    [address] = [d["metadata"]["name"] for d in documents() if d["kind"] == "Service"]
    assert trigger["metadata"]["url"] == f"http://{address}/metrics"
    # The number is there before the first job, too, or nothing would be scaled down.
    number = trigger["metadata"]["valueLocation"]
    lines = service.client.get("/metrics").text.splitlines()
    assert [line for line in lines if line.startswith(f"{number} ")]
