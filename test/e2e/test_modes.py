"""--mode audit and learn with a real engine and Docker's own client, and what was learned in force."""

import json
import os
import shutil
import subprocess

import pytest

from docker_engine import DOCKER, IMAGE, Proxied
from test_builds import BUILDX

KINDS = ("unix-unix", "mtls-mtls")


@pytest.fixture(params=KINDS)
def start(request, engine, certificates, tmp_path):
    """start(name, *options): a proxy in front of the engine."""
    started = []

    def make(name, *options):
        directory = tmp_path / name
        directory.mkdir()
        started.append(Proxied(engine, certificates, directory, request.param,
                               list(map(str, options))))
        return started[-1]
    yield make
    for proxied in started:
        proxied.proxy.stop()


@pytest.fixture
def context(tmp_path):
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "file").write_bytes(os.urandom(50_000))
    (directory / "Dockerfile").write_text(
        f"FROM {IMAGE}\nCOPY file /file\nRUN md5sum /file > /sum\n")
    return directory


def build(proxied, context, tag, buildkit):
    environment = proxied.environment | {"DOCKER_BUILDKIT": buildkit}
    result = subprocess.run([DOCKER, "build", "-t", tag, context], capture_output=True, text=True,
                            env=environment, timeout=120)
    assert result.returncode == 0, (result.stdout, result.stderr, proxied.proxy.log()[-3000:])


def traffic(proxied, context, name):
    """A job: builds of both kinds, a container that is run, looked at, entered and removed."""
    try:
        build(proxied, context, "learn/classic:1", "0")
        build(proxied, context, "learn/buildkit:1", "1")
        said = proxied.docker("run", "--rm", "learn/classic:1", "cat", "/sum").stdout
        assert said == proxied.docker("run", "--rm", "--cap-add", "NET_ADMIN", "learn/buildkit:1",
                                      "cat", "/sum").stdout and "/file" in said
        proxied.docker("run", "-d", "--name", name, IMAGE, "sh", "-c", "echo out; sleep 1000")
        followed = proxied.popen("logs", "-f", name, stdout=subprocess.PIPE)
        assert followed.stdout.readline() == b"out\n"
        assert proxied.docker("exec", name, "sh", "-c", "echo in; cat /proc/1/comm") \
            .stdout.startswith("in\n")
        assert "STEP=1" in proxied.docker("exec", "-e", "STEP=1", name, "env").stdout
        assert proxied.docker("exec", "-i", name, "cat", input="through").stdout == "through"
        assert "out" in proxied.docker("logs", name).stdout
        assert name in proxied.docker("ps").stdout
        proxied.docker("rm", "-f", name)
        assert followed.wait(20) == 0
        followed.stdout.close()
    finally:
        proxied.engine.docker("rm", "-f", "-v", name)
        proxied.engine.docker("rmi", "-f", "learn/classic:1", "learn/buildkit:1")


def test_learned_then_in_force(start, context, tmp_path):
    file, log = tmp_path / "learned.json", tmp_path / "audit.jsonl"
    learning = start("learn", "--mode", "learn", "--learn-file", file, "--audit-log", log)
    traffic(learning, context, f"learn-{learning.kind}")
    learning.proxy.stop()
    policy = json.loads(file.read_text())
    assert policy["preset"] == "allowlist" and policy["create"]["capabilities"] == ["NET_ADMIN"]
    assert ["sh", "-c", "echo in; cat /proc/1/comm"] in policy["exec"]["commands"]
    assert policy["exec"]["variables"] == ["STEP"]
    assert {"POST /build", "POST /session", "POST /containers/{name}/exec"} <= \
        set(policy["endpoints"]["only"])
    assert not [line for line in learning.proxy.log_lines() if "not-learnable" in line]

    enforcing = start("enforce", "--policy-file", file)
    traffic(enforcing, context, f"learn-{learning.kind}")
    refused = [line for line in enforcing.proxy.log_lines() if "verdict=deny" in line]
    assert not refused, refused
    for command in (["run", "--rm", "--privileged", IMAGE, "true"],
                    ["run", "--rm", "--cap-add", "SYS_ADMIN", IMAGE, "true"],
                    ["volume", "create", "v"]):
        result = enforcing.docker(*command, check=False)
        assert result.returncode != 0 and "blocked by jailoc proxy" in result.stderr, command


def test_audit_lets_pass_and_tells(start, tmp_path):
    """An unconfined container and an interactive exec, both refused by the policy in force."""
    log = tmp_path / "audit.jsonl"
    proxied = start("audit", "--mode", "audit", "--audit-log", log)
    name = f"audit-{proxied.kind}"
    try:
        proxied.docker("run", "-d", "--security-opt", "seccomp=unconfined", "--name", name,
                       IMAGE, "sleep", "1000")
        assert proxied.docker("exec", "-i", name, "cat", input="x" * 100_000).stdout == "x" * 100_000
    finally:
        proxied.engine.docker("rm", "-f", "-v", name)
    proxied.proxy.stop()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    rules = {r["rule"] for r in records if r.get("verdict") == "would-deny"}
    assert len(rules) >= 2 and any(r.startswith("create.sec") for r in rules), rules
    ends = [r for r in records if r["event"] == "session-end" and r["kind"] == "tunnel"]
    assert [r["endpoint"] for r in ends] == ["POST /exec/{name}/start"]
    assert ends[0]["bytes_up"] > 100_000 and ends[0]["bytes_down"] > 100_000


def test_learned_of_buildx_then_in_force(start, context, tmp_path):
    """The calls in /grpc."""
    program = next((path for path in BUILDX if os.access(path, os.X_OK)), None)
    if program is None:
        pytest.skip("no buildx here: tools/testing/fetch-docker gets it")
    file = tmp_path / "learned.json"

    def buildx(proxied, *arguments):
        plugins = proxied.directory / "docker-config/cli-plugins"
        plugins.mkdir(exist_ok=True)
        shutil.copy(program, plugins / "docker-buildx")
        return subprocess.run([DOCKER, "buildx", "build", "--no-cache", *arguments, context],
                              capture_output=True, text=True, env=proxied.environment, timeout=120)
    learning = start("learn", "--mode", "learn", "--learn-file", file)
    result = buildx(learning, "-t", "learn/buildx:1")
    assert result.returncode == 0, (result.stderr, learning.proxy.log()[-3000:])
    learning.proxy.stop()
    policy = json.loads(file.read_text())
    assert "POST /grpc" in policy["endpoints"]["only"] and \
        not any(policy["build"].values())
    enforcing = start("enforce", "--policy-file", file)
    result = buildx(enforcing, "-t", "learn/buildx:1")
    assert result.returncode == 0, (result.stderr, enforcing.proxy.log()[-3000:])
    refused = [line for line in enforcing.proxy.log_lines() if "verdict=deny" in line]
    assert not refused, refused
    result = buildx(enforcing, "--network", "host")
    assert result.returncode != 0 and "blocked by jailoc proxy" in result.stderr
    enforcing.engine.docker("rmi", "-f", "learn/buildx:1")
