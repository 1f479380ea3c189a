"""The manifest's parts: well-formed, and what it promises. No cluster is at hand to apply it."""

import json
import re
import subprocess

import pytest
import yaml

from conftest import DEPLOY
from proxy_process import binary, clean_environment

# Of the API's Container and Pod (core/v1), the fields that are used here.
CONTAINER_FIELDS = {"name", "image", "command", "args", "env", "restartPolicy", "securityContext",
                    "startupProbe", "livenessProbe", "resources", "volumeMounts"}
POD_FIELDS = {"automountServiceAccountToken", "enableServiceLinks", "shareProcessNamespace",
              "terminationGracePeriodSeconds", "securityContext", "initContainers", "containers",
              "volumes"}
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label


@pytest.fixture(scope="module")
def documents():
    class Strict(yaml.SafeLoader):
        """A key given twice is a mistake that YAML readers hide."""

        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"a key twice: {keys}"
            return super().construct_mapping(node, deep)
    text = (DEPLOY / "kubernetes/runner-pod.yaml").read_text()
    return {d["kind"]: d for d in yaml.load_all(text, Strict)}


@pytest.fixture(scope="module")
def spec(documents):
    return documents["Pod"]["spec"]


@pytest.fixture(scope="module")
def containers(spec):
    return {c["name"]: c for c in spec["initContainers"] + spec["containers"]}


def test_shape(documents, spec, containers):
    assert {(d["apiVersion"], kind) for kind, d in documents.items()} == {
        ("v1", "Pod"), ("v1", "ConfigMap")}
    assert set(spec) <= POD_FIELDS
    for name, container in containers.items():
        assert NAME.fullmatch(name) and set(container) <= CONTAINER_FIELDS and container["image"]
        for variable in container.get("env", ()):
            assert set(variable) == {"name", "value"} and isinstance(variable["value"], str)
        assert container["resources"]["limits"]["memory"]
    volumes = {v["name"] for v in spec["volumes"]}
    mounted = [m["name"] for c in containers.values() for m in c["volumeMounts"]]
    assert set(mounted) == volumes
    config = next(v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v)
    assert config == documents["ConfigMap"]["metadata"]["name"]


def test_sidecars_start_in_order_and_stay(spec):
    assert [c["name"] for c in spec["initContainers"]] == ["dind", "dind-proxy"]
    for container in spec["initContainers"]:
        assert container["restartPolicy"] == "Always" and "startupProbe" in container


def sockets(container):
    return {m["name"]: m["mountPath"] for m in container["volumeMounts"]}


def test_the_runner_cannot_reach_the_engine(spec, containers):
    """dind has no port, and its socket's volume is not the runner's."""
    hosts = [word for word in containers["dind"]["args"] if word.startswith(("--host", "-H"))]
    assert hosts == ["--host=unix:///run/engine/docker.sock"]
    assert set(sockets(containers["runner"])) == {"proxy-socket"}
    assert set(sockets(containers["dind-proxy"])) == {"engine-socket", "proxy-socket"}
    assert "proxy-socket" not in sockets(containers["dind"])
    assert spec["shareProcessNamespace"] is False and spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


def test_rights(containers):
    privileged = [n for n, c in containers.items() if c["securityContext"].get("privileged")]
    assert privileged == ["dind"]
    for name in ("runner", "dind-proxy"):
        context = containers[name]["securityContext"]
        assert context["runAsNonRoot"] and context["runAsUser"] > 0
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
    assert containers["dind-proxy"]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_proxy_takes_its_settings(containers):
    """All of them are options; the addresses are in the volumes that are mounted."""
    variables = {v["name"]: v["value"] for v in containers["dind-proxy"]["env"]}
    result = subprocess.run([binary(), "--check-config"], capture_output=True, text=True,
                            env=clean_environment() | variables)
    assert result.returncode == 0, result.stderr
    for variable in variables:
        assert f"# {variable}" in result.stdout
    assert variables["DIND_PROXY_UPSTREAM"] == "unix:///run/engine/docker.sock"
    runner = {v["name"]: v["value"] for v in containers["runner"]["env"]}
    assert variables["DIND_PROXY_LISTEN"].startswith(runner["DOCKER_HOST"])


def test_daemon_json_is_the_same_as_for_compose(documents):
    assert json.loads(documents["ConfigMap"]["data"]["daemon.json"]) == json.loads(
        (DEPLOY / "compose/daemon.json").read_text())
