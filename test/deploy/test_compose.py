"""The compose files: valid for the packaged compose, what they promise, and the Go template."""

import json
import os
import re
import subprocess

import pytest
import yaml

from conftest import DEPLOY, need

COMPOSE = DEPLOY / "compose"
FILES = ("compose.yaml", "compose.shared.yaml")
CA_KEYS = ("agent-certs-ca", "dind-certs-ca")


def read(text, variables=()):
    """A compose file with its variables' defaults in place, or with these values."""
    values = dict(variables)
    return yaml.safe_load(re.sub(
        r"\$\{([A-Z_]+)(?::-([^}]*))?\}",
        lambda m: values.get(m.group(1), m.group(2) if m.group(2) is not None else m.group(0)),
        text))


@pytest.fixture(params=FILES)
def compose(request):
    return read((COMPOSE / request.param).read_text())


def mounts(service):
    """{volume or path: (target, read-only)}"""
    found = {}
    for text in service.get("volumes", ()):
        source, target, *mode = text.split(":")
        found[source] = (target, "ro" in mode)
    return found


def environment(service):
    given = service.get("environment", {})
    return given if isinstance(given, dict) else dict(e.split("=", 1) for e in given)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("layout", ("split", "shared"))
def test_compose_takes_it(name, layout):
    """By `docker compose` if that is there, else by docker-compose."""
    command = ["docker", "compose"] if subprocess.run(
        ["docker", "compose", "version"], capture_output=True).returncode == 0 \
        else ["docker-compose"]
    need(command[0])
    result = subprocess.run(
        [*command, "-f", COMPOSE / name, "config"], capture_output=True, text=True,
        env=os.environ | {"DIND_PROXY_LAYOUT": layout, "AGENT_USER": "7:8"})
    assert result.returncode == 0, result.stderr
    assert "variable is not set" not in result.stderr
    services = yaml.safe_load(result.stdout)["services"]
    assert set(services) == {"certs", "dind", "dind-proxy", "opencode"}
    expected = "shared" if name == "compose.shared.yaml" else layout
    assert environment(services["certs"])["DIND_PROXY_CERTS_LAYOUT"] == expected
    assert environment(services["opencode"])["JAILOC_USER"] == "7:8"


def test_the_agent_and_dind_share_no_network(compose):
    networks = {name: set(service.get("networks", ()))
                for name, service in compose["services"].items()}
    assert not networks["opencode"] & networks["dind"]
    assert networks["dind-proxy"] == networks["opencode"] | networks["dind"]
    assert compose["services"]["certs"]["network_mode"] == "none"


def test_rights(compose):
    """dind alone is privileged; the proxy has nothing; the agent's command gets nothing."""
    services = compose["services"]
    assert [name for name, s in services.items() if s.get("privileged")] == ["dind"]
    for name in ("certs", "dind-proxy", "opencode"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
    proxy = services["dind-proxy"]
    assert proxy["read_only"] is True and "cap_add" not in proxy
    assert proxy["user"] == "65532:65532"
    assert services["opencode"]["cap_add"] == ["NET_ADMIN", "SETUID", "SETGID", "SETPCAP"]


def test_start_order(compose):
    services = compose["services"]
    assert services["opencode"]["depends_on"] == {"dind-proxy": {"condition": "service_healthy"}}
    assert services["dind-proxy"]["depends_on"] == {
        "certs": {"condition": "service_completed_successfully"},
        "dind": {"condition": "service_healthy"}}
    for name in ("dind", "dind-proxy"):
        assert services[name]["healthcheck"]["test"][0] == "CMD"


def test_keys_are_where_they_belong(compose):
    """A CA's key only with who signs; all read-only but for the maker; the three named volumes."""
    makers = {"certs", "dind"} if "agent-certs-ca" not in compose["volumes"] else {"certs"}
    for name, service in compose["services"].items():
        for source, (target, read_only) in mounts(service).items():
            if source in CA_KEYS:
                assert name in makers, (name, source)
            if "certs" in source and name not in makers:
                assert read_only, (name, source)
    assert {"dind-certs-ca", "dind-certs-client", "dind-certs-server"} <= set(compose["volumes"])
    assert set(mounts(compose["services"]["opencode"])) == {"agent-certs", "../agent/entrypoint.sh"}
    assert set(mounts(compose["services"]["dind-proxy"])) == {"proxy-certs"}


def test_the_proxys_settings_are_options_that_exist(compose, tmp_path):
    from proxy_process import binary
    for name, words in (("dind-proxy", ["--help"]), ("certs", ["certs", "--help"])):
        text = subprocess.run([binary(), *words], capture_output=True, text=True).stdout
        if name == "certs" and "DIND_PROXY_CERTS_LAYOUT" not in text:
            pytest.skip("this build has no `certs` command")
        for variable in environment(compose["services"][name]):
            assert variable in text, variable


def test_daemon_json():
    entitlements = json.loads((COMPOSE / "daemon.json").read_text())["builder"]["entitlements"]
    assert entitlements == {"network-host": False, "security-insecure": False}


# --- the template, executed by a Go program: docker's own --format


@pytest.fixture(scope="module")
def render(engine, tmp_path_factory):
    """render(fields): docker inspect's template engine over a map of fields, an image's labels."""
    directory = tmp_path_factory.mktemp("render")

    def execute(**fields):
        labels = "".join(f'LABEL {key}="{value}"\n' for key, value in fields.items())
        (directory / "Dockerfile").write_text(f"FROM e2e/busybox:1\n{labels}")
        built = engine.docker("build", "-q", str(directory), text=True)
        assert built.returncode == 0, built.stderr
        text = (COMPOSE / "docker-compose.yml.tmpl").read_text()
        result = engine.docker("image", "inspect", "--format",
                               "{{with .Config.Labels}}" + text + "{{end}}",
                               built.stdout.strip(), text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout
    return execute


def test_the_template_with_docker(render, tmp_path):
    text = render(WorkspaceName="w", Image="agent:1", EnableDocker="true")
    rendered = yaml.safe_load(text)
    plain = read((COMPOSE / "compose.yaml").read_text())
    for name in ("certs", "dind", "dind-proxy"):
        ours = dict(rendered["services"][name])
        if name == "dind":
            ours["volumes"] = [v.replace("${HOME}/.cache/jailoc/w/dind-daemon.json",
                                         "./daemon.json") for v in ours["volumes"]]
        assert ours == plain["services"][name], name
    assert rendered["volumes"] == plain["volumes"]
    assert rendered["networks"] == plain["networks"]
    agent, theirs = rendered["services"]["opencode"], plain["services"]["opencode"]
    for variable, value in environment(theirs).items():
        if variable != "JAILOC_USER":
            assert environment(agent)[variable] == value
    assert agent["depends_on"] == theirs["depends_on"]
    need("docker-compose")
    (tmp_path / "docker-compose.yml").write_text(re.sub(r"^name:.*\n", "", text, flags=re.M))
    result = subprocess.run(["docker-compose", "-f", tmp_path / "docker-compose.yml", "config"],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_template_without_docker(render):
    """Nothing of it is left."""
    text = render(WorkspaceName="w", Image="agent:1")
    rendered = yaml.safe_load(text)
    assert set(rendered["services"]) == {"opencode"}
    assert "volumes" not in rendered and set(rendered["networks"]) == {"agent"}
    assert "dind" not in text.partition("services:")[2] and "DOCKER" not in text.partition(
        "services:")[2]


