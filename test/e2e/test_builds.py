"""Builds with BuildKit: the client's own (/session and /build), and buildx (/grpc), through a proxy
that judges what is inside."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from docker_engine import DOCKER, NEWER, Proxied, write_dockerfile

# The distribution's package, or what tools/testing/fetch-docker has unpacked.
BUILDX = [NEWER / "docker-buildx",
          Path("/usr/libexec/docker/cli-plugins/docker-buildx"),
          Path("/usr/lib/docker/cli-plugins/docker-buildx")]
MIB = 1 << 20


@pytest.fixture
def buildx(proxied):
    """Runs buildx as a plugin of the client."""
    program = next((path for path in BUILDX if os.access(path, os.X_OK)), None)
    if program is None:
        pytest.skip("no buildx here: tools/testing/fetch-docker gets it")
    plugins = Path(proxied.environment["DOCKER_CONFIG"]) / "cli-plugins"
    plugins.mkdir(exist_ok=True)
    shutil.copy(program, plugins / "docker-buildx")

    def run(*arguments, **options):
        return subprocess.run([DOCKER, "buildx", "build", "--progress", "plain", *arguments],
                              capture_output=True, text=True, env=proxied.environment, timeout=180,
                              **options)
    return run


@pytest.fixture
def context(tmp_path):
    """Two stages, a cache mount and a file."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context/file").write_bytes(os.urandom(100_000))
    write_dockerfile(tmp_path / "context", "--mount=type=cache,target=/cache")
    return tmp_path / "context"


def images(proxied):
    """Sorted: the engine lists by seconds, and those of one second in any order."""
    return sorted(proxied.engine.docker("images", "-q", "--no-trunc", text=True).stdout.split())


def refused(result, rule):
    assert result.returncode != 0, result
    assert "blocked by jailoc proxy: " in result.stderr and f"({rule})" in result.stderr, result


def test_the_clients_own_buildkit(proxied, context):
    """The client of engine 20.10: /session, and /build with version=2."""
    environment = proxied.environment | {"DOCKER_BUILDKIT": "1"}
    command = [DOCKER, "build", "--progress", "plain", "-t", f"built-{proxied.kind}"]
    built = subprocess.run([*command, context], capture_output=True, text=True, env=environment,
                           timeout=120)
    assert built.returncode == 0, (built.stderr, proxied.proxy.log())
    proxied.docker("run", "--rm", f"built-{proxied.kind}", "cat", "/sum")
    # It runs its session and its build side by side, and must not hang however the race ends.
    command += ["--network", "host", context]
    for _ in range(5):
        refused(subprocess.run(command, capture_output=True, text=True, env=environment,
                               timeout=30), "build.networkmode")


def test_buildkit_switched_off(buildx, engine, certificates, proxied, context, tmp_path):
    """--buildkit deny: both clients end with an error, and the classic builder works."""
    (tmp_path / "strict").mkdir()
    strict = Proxied(engine, certificates, tmp_path / "strict", proxied.kind,
                     ["--buildkit", "deny"])
    environment = strict.environment | {"DOCKER_CONFIG": proxied.environment["DOCKER_CONFIG"]}

    def build(*command, buildkit="1"):
        return subprocess.run([DOCKER, *command, context], capture_output=True, text=True,
                              env=environment | {"DOCKER_BUILDKIT": buildkit}, timeout=60)
    try:
        # It waits for its session before it prints anything, and of that it prints the status alone.
        result = build("build")
        assert result.returncode != 0 and "received 403" in result.stderr, result
        strict.proxy.wait_log(r"verdict=deny rule=build\.buildkit")
        # Without /grpc this one tries to start a builder of its own.
        assert build("buildx", "build").returncode != 0
        strict.proxy.wait_log(r"path=/grpc verdict=deny rule=endpoint\.grpc")
        write_dockerfile(context, "")
        result = build("build", "-t", f"classic-{proxied.kind}", buildkit="0")
        assert result.returncode == 0, (result.stderr, strict.proxy.log()[-3000:])
    finally:
        strict.proxy.stop()


def test_build(buildx, proxied, context):
    result = buildx("-t", f"x-{proxied.kind}", context)
    assert result.returncode == 0, (result.stderr, proxied.proxy.log()[-3000:])
    assert "/file" in proxied.docker("run", "--rm", f"x-{proxied.kind}", "cat", "/sum").stdout
    proxied.proxy.wait_log(r"path=/grpc verdict=allow")


def test_big_context(buildx, proxied, context):
    """It flows through /session, unseen."""
    size = 500 * MIB
    with open(context / "file", "wb") as file:
        for _ in range(size // (10 * MIB)):
            file.write(os.urandom(MIB) * 10)
    result = buildx("-t", f"big-{proxied.kind}", context)
    assert result.returncode == 0, (result.stderr[-2000:], proxied.proxy.log()[-3000:])
    line = proxied.proxy.wait_log(r"path=/session .*bytes_up=5\d{8}")
    assert line
    (context / "file").unlink()


def test_parallel_builds(buildx, proxied, context):
    def one(number):
        return buildx("--no-cache", "--build-arg", f"n={number}", "-t", f"p{number}-{proxied.kind}",
                      context)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(one, range(4)):
            assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments,rule", [
    (["--network", "host"], "buildkit.network"),
    (["--allow", "network.host"], "buildkit.entitlement"),
    (["--allow", "security.insecure"], "buildkit.entitlement"),
    (["--cgroup-parent", "/other"], "buildkit.cgroup-parent"),
    (["--build-context", "more=https://127.0.0.1:9/x.git"], "buildkit.remote"),
])
def test_refused(buildx, proxied, context, arguments, rule):
    """The reason is in what buildx prints, and the engine has made nothing."""
    before = images(proxied)
    refused(buildx("--no-cache", *arguments, context), rule)
    assert images(proxied) == before
    proxied.proxy.wait_log(f"event=grpc .*verdict=deny rule={re.escape(rule)}")


def test_remote_context(buildx):
    refused(buildx("https://127.0.0.1:9/context.git"), "buildkit.remote")


@pytest.mark.parametrize("flags", ["--network=host", "--security=insecure"])
def test_dockerfile_asks(buildx, context, flags):
    """Only the engine reads the Dockerfile; without an entitlement it refuses, or does not know it."""
    write_dockerfile(context, flags)
    result = buildx("--no-cache", context)
    assert result.returncode != 0, result
    assert re.search("not allowed|Unknown flag|unknown flag|not enabled", result.stderr), result


def test_secrets(buildx, engine, certificates, proxied, context, tmp_path):
    """Allowed by default; refused where sessions may not offer them."""
    (tmp_path / "secret").write_text("of the build\n")
    write_dockerfile(context, "--mount=type=secret,id=s", "cat /run/secrets/s > /sum")
    arguments = ["--no-cache", "--secret", f"id=s,src={tmp_path / 'secret'}"]
    result = buildx(*arguments, "-t", f"s-{proxied.kind}", context)
    assert result.returncode == 0, result.stderr
    assert proxied.docker("run", "--rm", f"s-{proxied.kind}", "cat", "/sum").stdout == "of the build\n"

    (tmp_path / "strict").mkdir()
    strict = Proxied(engine, certificates, tmp_path / "strict", proxied.kind,
                     ["--buildkit-session-deny", "secrets"])
    try:
        environment = strict.environment | {"DOCKER_CONFIG": proxied.environment["DOCKER_CONFIG"]}
        result = subprocess.run([DOCKER, "buildx", "build", *arguments, context],
                                capture_output=True, text=True, env=environment, timeout=60)
        assert result.returncode != 0, result
        strict.proxy.wait_log(r"path=/session verdict=deny rule=session\.secrets")
    finally:
        strict.proxy.stop()
