"""Policy files with Docker's own client against a real engine: what a key opens works, and works
no further."""

import json

import pytest

from client import Client
from docker_engine import IMAGE, Proxied
from test_refusals import SHOWN

KINDS = ("unix-unix", "mtls-mtls")


@pytest.fixture
def make(engine, certificates, tmp_path):
    made = []

    def start(kind="unix-unix", **policy):
        directory = tmp_path / f"p{len(made)}"
        directory.mkdir()
        (directory / "policy.json").write_text(json.dumps({"schema": 1, **policy}))
        made.append(Proxied(engine, certificates, directory, kind,
                            ["--policy-file", directory / "policy.json"]))
        return made[-1]

    yield start
    for proxied in made:
        proxied.proxy.stop()


@pytest.fixture
def container(engine, request):
    name = "policy-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[:50]
    yield name
    engine.docker("rm", "-f", "-v", name)


def refused(proxied, *arguments, rule, **options):
    result = proxied.docker(*arguments, check=False, **options)
    assert result.returncode != 0, result
    shown = SHOWN.search(result.stderr)
    assert shown and shown[0].endswith(f"({rule})"), result.stderr


def test_capability(make):
    proxied = make(create={"capabilities": ["NET_ADMIN"]})
    result = proxied.docker("run", "--rm", "--cap-add", "NET_ADMIN", IMAGE, "sh", "-c",
                            "ip link set lo down && echo down")
    assert result.stdout == "down\n"
    refused(proxied, "run", "--rm", "--cap-add", "SYS_ADMIN", IMAGE, "true", rule="create.cap-add")
    refused(proxied, "run", "--rm", "--privileged", IMAGE, "true", rule="create.privileged")


def test_read_only_bind(make, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("seen\n")
    proxied = make(create={"binds": [{"path": str(shared), "read-only": True}]})
    bind = ["--mount", f"type=bind,src={shared},dst=/x"]
    refused(proxied, "run", "--rm", "-v", f"{shared}:/x", IMAGE, "true", rule="create.bind")
    refused(proxied, "run", "--rm", *bind, IMAGE, "true", rule="create.bind")
    refused(proxied, "run", "--rm", "-v", f"{tmp_path}:/x:ro", IMAGE, "true", rule="create.bind")
    for options in (["-v", f"{shared}:/x:ro"], [bind[0], bind[1] + ",readonly"]):
        result = proxied.docker("run", "--rm", *options, IMAGE, "sh", "-c",
                                "cat /x/file; echo > /x/new || echo kept")
        assert result.stdout == "seen\nkept\n"
    assert sorted(p.name for p in shared.iterdir()) == ["file"]


@pytest.mark.parametrize("kind", KINDS)
def test_exec_as_a_runner(make, container, kind):
    proxied = make(kind, preset="ci-runner")
    proxied.docker("run", "-d", "--name", container, IMAGE, "sleep", "600")
    assert proxied.docker("exec", container, "echo", "out").stdout == "out\n"
    result = proxied.docker("exec", "-i", container, "cat", input="x" * 300000)
    assert result.stdout == "x" * 300000
    result = proxied.docker("exec", "-e", "A=b", container, "sh", "-c", "echo $A; exit 7",
                            check=False)
    assert (result.returncode, result.stdout) == (7, "b\n")
    proxied.docker("exec", "-d", container, "sh", "-c", "echo done > /marker")
    refused(proxied, "exec", "--privileged", container, "id", rule="exec.privileged")
    refused(proxied, "update", "--memory", "64m", container, rule="endpoint.container-update")
    proxied.docker("commit", container, "policy/committed:1")
    proxied.engine.docker("rmi", "policy/committed:1")


def test_exec_by_its_arguments(make, container):
    proxied = make(preset="ci-runner",
                   exec={"commands": [["echo", "**"], ["sh", "-c", "exit *"]]})
    proxied.docker("run", "-d", "--name", container, IMAGE, "sleep", "600")
    assert proxied.docker("exec", container, "echo", "a", "b").stdout == "a b\n"
    assert proxied.docker("exec", container, "sh", "-c", "exit 3", check=False).returncode == 3
    refused(proxied, "exec", container, "cat", "/etc/passwd", rule="exec.command")
    refused(proxied, "exec", container, "sh", "-c", "echo", rule="exec.command")
    refused(proxied, "exec", container, "sh", "-c", "exit 3", "more", rule="exec.command")
    refused(proxied, "exec", "-e", "LD_PRELOAD=x", container, "echo", rule="exec.env")


def test_images(make, engine):
    engine.docker("tag", IMAGE, "other/image:1")
    short = engine.docker("image", "inspect", "--format", "{{.Id}}", IMAGE).stdout.decode().strip()
    proxied = make(create={"images": ["e2e/*"]}, images={"pull": ["e2e/*"], "push": []})
    try:
        assert proxied.docker("run", "--rm", IMAGE, "echo", "x").stdout == "x\n"
        assert proxied.docker("run", "--rm", f"docker.io/{IMAGE}", "echo", "x").stdout == "x\n"
        refused(proxied, "run", "--rm", "other/image:1", "true", rule="create.image")
        refused(proxied, "run", "--rm", short, "true", rule="create.image")
        refused(proxied, "run", "--rm", short.partition(":")[2][:12], "true", rule="create.image")
        refused(proxied, "pull", "other/image:1", rule="image.pull")
        refused(proxied, "push", IMAGE, rule="image.push")
    finally:
        engine.docker("rmi", "other/image:1")


def test_memory(make, container):
    proxied = make(endpoints={"allow": ["POST /containers/{name}/update"]},
                   limits={"memory": {"max": "64m"}, "pids": {"required": True},
                           "cpus": {"max": 1}})
    enough = ["--pids-limit", "50", "--cpus", "0.5"]
    refused(proxied, "run", "--rm", *enough, IMAGE, "true", rule="create.limit-memory")
    refused(proxied, "run", "--rm", *enough, "--memory", "65m", IMAGE, "true",
            rule="create.limit-memory")
    refused(proxied, "run", "--rm", "--memory", "64m", "--cpus", "1", IMAGE, "true",
            rule="create.limit-pids")
    refused(proxied, "run", "--rm", "--memory", "64m", "--pids-limit", "9", "--cpus", "1.1", IMAGE,
            "true", rule="create.limit-cpus")
    proxied.docker("run", "-d", "--name", container, *enough, "--memory", "64m", IMAGE, "sleep",
                   "600")
    inspect = ["inspect", "--format", "{{.HostConfig.Memory}}", container]
    assert proxied.docker(*inspect).stdout.strip() == str(64 << 20)
    refused(proxied, "update", "--memory", "65m", "--memory-swap", "65m", container,
            rule="create.limit-memory")
    refused(proxied, "update", "--memory-swap", "-1", container, rule="create.limit-memory")
    refused(proxied, "update", "--pids-limit", "-1", container, rule="create.limit-pids")
    proxied.docker("update", "--memory", "32m", "--memory-swap", "32m", container)
    assert proxied.docker(*inspect).stdout.strip() == str(32 << 20)


def test_reading_only(make, engine, container):
    engine.docker("run", "-d", "--name", container, IMAGE, "sh", "-c", "echo line; sleep 600")
    proxied = make(preset="read-only")
    assert container in proxied.docker("ps").stdout
    assert proxied.docker("logs", container).stdout == "line\n"
    proxied.docker("inspect", container)
    proxied.docker("info")
    proxied.docker("images")
    refused(proxied, "run", "--rm", IMAGE, "true", rule="endpoint.container-create")
    refused(proxied, "rm", "-f", container, rule="endpoint.container-remove")
    # Of this one the client shows the status alone.
    assert "403" in proxied.docker("attach", container, check=False).stderr
    assert "rule=endpoint.container-attach" in proxied.proxy.log()
    refused(proxied, "pull", "x", rule="endpoint.image-create")


def test_clients_have_policies_of_their_own(make, certificates):
    """The same proxy, by the names in the clients' certificates."""
    proxied = make("mtls-mtls", preset="read-only", clients=[
        {"name": "agent", "match": {"common-name": "*"},
         "policy": {"preset": "allowlist", "create": {"capabilities": ["NET_ADMIN"]}}}])
    assert proxied.docker("run", "--rm", "--cap-add", "NET_ADMIN", IMAGE, "echo", "x"
                          ).stdout == "x\n"
    nobody = make("mtls-mtls", clients=[{"name": "a", "match": {"common-name": "nobody"}}],
                  **{"other-clients": "deny"})
    with Client(nobody.url, certificates / "agent") as client:
        response = client.request("GET", "/info")
        assert response.status == 403 and b"(client.unknown)" in response.body
