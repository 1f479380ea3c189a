"""Builds on a newer engine than Debian 12's (tools/testing/fetch-docker), with its own clients.

The engine grants every entitlement that it knows, so that what is refused is refused by the proxy
alone; one test asks an engine with the entitlements switched off."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from docker_engine import (IMAGE, NEWER, Engine, Proxied, make_image, serve_registry,
                           write_dockerfile)
from grpc_client import GrpcClient, field, secret_graph, submessage
from h2wire import (DATA, END_STREAM, PREFACE, RST_STREAM, SETTINGS, call, frame, message,
                    read_frame)
from proxy_process import clean_environment, sanitizer
from recorder import wait_until
from streams import connect_socket

MIB = 1 << 20
DOCKER = NEWER / "docker"
PLUGINS = ("docker-buildx", "docker-compose")
UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
# BuildHistoryRequest: ActiveOnly, EarlyExit.
ACTIVE, ALL = b"\x08\x01\x18\x01", b"\x18\x01"


@pytest.fixture(scope="module")
def start_newer(tmp_path_factory, certificates):
    """Starts an engine with these entitlements."""
    for program in (NEWER / "dockerd", NEWER / "containerd", DOCKER, NEWER / "docker-buildx"):
        if not os.access(program, os.X_OK):
            pytest.skip(f"{program} is not there: tools/testing/fetch-docker gets it")
    started = []

    def start(allowed):
        directory = tmp_path_factory.mktemp("newer")
        engine = Engine(directory, certificates, NEWER, {"builder": {"entitlements": {
            "network-host": allowed, "security-insecure": allowed}}})
        started.append(engine)
        make_image(engine, directory)
        return engine
    yield start
    for engine in started:
        engine.stop()


@pytest.fixture(scope="module")
def newer(start_newer):
    return start_newer(True)


@pytest.fixture(scope="module")
def proxied_newer(newer, certificates, tmp_path_factory):
    directory = tmp_path_factory.mktemp("p")
    made = Proxied(newer, certificates, directory, "mtls-mtls",
                   ["--metrics", f"unix://{directory}/metrics.sock"])
    made.metrics = f"unix://{directory}/metrics.sock"
    # The client decides by itself, as anybody's does: BuildKit, by buildx.
    del made.environment["DOCKER_BUILDKIT"]
    plugins = directory / "docker-config/cli-plugins"
    plugins.mkdir()
    for name in PLUGINS:
        if os.access(NEWER / name, os.X_OK):
            shutil.copy(NEWER / name, plugins)
    yield made
    made.proxy.stop()


def run(environment, *arguments, timeout=180):
    return subprocess.run([DOCKER, *map(str, arguments)], capture_output=True, text=True,
                          env=environment, timeout=timeout)


@pytest.fixture
def build(proxied_newer):
    def through(*arguments, **options):
        return run(proxied_newer.environment, "build", "--progress", "plain", *arguments, **options)
    return through


@pytest.fixture
def build_directly(proxied_newer):
    """The same client, past the proxy."""
    environment = clean_environment() | {
        "DOCKER_CONFIG": proxied_newer.environment["DOCKER_CONFIG"],
        "DOCKER_HOST": proxied_newer.engine.unix}

    def past(*arguments):
        return run(environment, "build", "--progress", "plain", *arguments)
    return past


@pytest.fixture
def context(tmp_path):
    (tmp_path / "context").mkdir()
    (tmp_path / "context/file").write_bytes(os.urandom(100_000))
    write_dockerfile(tmp_path / "context", "")
    return tmp_path / "context"


def done(result, proxied):
    assert result.returncode == 0, (result.stderr[-3000:], proxied.proxy.log()[-3000:])


def refused(result, rule):
    assert result.returncode != 0, result
    assert "blocked by jailoc proxy: " in result.stderr and f"({rule})" in result.stderr, result


def output_of(proxied, tag):
    return run(proxied.environment, "run", "--rm", tag, "cat", "/sum").stdout


def history(engine, which):
    """How many builds the engine has a record of, or is at work on: Control/ListenBuildHistory."""
    with connect_socket(engine.unix, 10) as sock, sock.makefile("rb") as answers:
        sock.sendall(UPGRADE)
        assert b" 101 " in answers.readline()
        while answers.readline() != b"\r\n":
            pass
        sock.sendall(PREFACE + frame(SETTINGS) + call(1, b"ListenBuildHistory") +
                     frame(DATA, END_STREAM, 1, message(which)))
        data, flags, trailers = b"", 0, b""
        while not flags & END_STREAM:
            kind, flags, stream, payload = read_frame(answers.read)
            assert kind != RST_STREAM, payload
            flags = flags if stream == 1 else 0
            if stream == 1:
                data, trailers = (data + payload, trailers) if kind == DATA else (data, payload)
        assert b"message" not in trailers, trailers
    count = 0
    while data:
        data = data[5 + int.from_bytes(data[1:5], "big"):]
        count += 1
    return count


def tunnels(proxied):
    """/grpc and /session, as far as the proxy has them open."""
    with connect_socket(proxied.metrics, 10) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        text = sock.makefile("rb").read()
    return int(re.search(rb'open_streams{kind="tunnel"} (\d+)', text)[1])


@pytest.fixture
def stays_clean(proxied_newer):
    """What is refused leaves nothing in the engine: image, record, running build or session."""
    def state():
        images = proxied_newer.engine.docker("images", "-q", "--no-trunc", text=True).stdout
        return sorted(images.split()), history(proxied_newer.engine, ALL)
    before = state()
    yield
    assert state() == before
    assert history(proxied_newer.engine, ACTIVE) == 0
    wait_until(lambda: tunnels(proxied_newer) == 0, 10, "the end of all tunnels")


def test_multi_stage_with_a_big_context(build, proxied_newer, context):
    """500 MiB through /session (fewer where that would take minutes), a cache mount, two stages; and
    it leaves a record, which shows that records are seen at all."""
    size = (100 if sanitizer() else 500) * MIB
    with open(context / "file", "wb") as file:
        for _ in range(size // (10 * MIB)):
            file.write(os.urandom(MIB) * 10)
    write_dockerfile(context, "--mount=type=cache,target=/cache")
    before = history(proxied_newer.engine, ALL)
    done(build("-t", "big", context), proxied_newer)
    assert "/file" in output_of(proxied_newer, "big")
    assert proxied_newer.proxy.wait_log(r"path=/session .*bytes_up=[15]\d{8}")
    assert history(proxied_newer.engine, ALL) == before + 1


@pytest.mark.parametrize("arguments,rule", [
    (["--network", "host"], "buildkit.network"),
    (["--allow", "network.host"], "buildkit.entitlement"),
    (["--allow", "network.host", "--network", "host"], "buildkit.network"),
    (["--allow", "security.insecure"], "buildkit.entitlement"),
])
def test_refused(build, proxied_newer, stays_clean, context, arguments, rule):
    refused(build("--no-cache", *arguments, context), rule)
    proxied_newer.proxy.wait_log(f"event=grpc .*verdict=deny rule={re.escape(rule)}")


@pytest.mark.parametrize("arguments", [["--allow", "network.host", "--network", "host"],
                                       ["--allow", "security.insecure"]])
def test_the_engine_would_have_granted_it(build_directly, context, arguments):
    result = build_directly("--no-cache", *arguments, context)
    assert result.returncode == 0, result.stderr


def test_dockerfile_asks_for_the_hosts_network(build, proxied_newer, context):
    """Only the engine reads the Dockerfile. It refuses, as the build was granted nothing."""
    write_dockerfile(context, "--network=host")
    result = build("--no-cache", context)
    assert result.returncode != 0 and "network.host is not allowed" in result.stderr, result
    assert history(proxied_newer.engine, ACTIVE) == 0


def test_dockerfile_asks_for_insecure_execution(build, context):
    """The frontend inside of the engine does not know the flag; only one from a registry does."""
    write_dockerfile(context, "--security=insecure")
    result = build("--no-cache", context)
    assert result.returncode != 0 and "unknown flag: security" in result.stderr, result


def test_secret_and_ssh(build, proxied_newer, context, tmp_path):
    (tmp_path / "secret").write_text("of the build\n")
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "key", "2048"], check=True,
                   capture_output=True)
    (tmp_path / "key").chmod(0o600)
    write_dockerfile(context, "--mount=type=secret,id=s --mount=type=ssh",
                     "test -S $SSH_AUTH_SOCK && cat /run/secrets/s > /sum")
    done(build("--no-cache", "--secret", f"id=s,src={tmp_path / 'secret'}",
               "--ssh", f"default={tmp_path / 'key'}", "-t", "secret", context), proxied_newer)
    assert output_of(proxied_newer, "secret") == "of the build\n"


def test_inline_cache(build, proxied_newer, context, tmp_path):
    """Exported into the image, and found in a registry by an engine whose own cache is empty."""
    with serve_registry(proxied_newer.engine, tmp_path) as registry:
        tag = f"{registry}/cached:1"
        done(build("--cache-to", "type=inline", "-t", tag, context), proxied_newer)
        done(run(proxied_newer.environment, "push", tag), proxied_newer)
        for command in (["rmi", tag], ["builder", "prune", "-af"]):
            assert proxied_newer.engine.docker(*command).returncode == 0
        result = build("--cache-from", f"type=registry,ref={tag}", "-t", "again", context)
        done(result, proxied_newer)
        assert f"importing cache manifest from {tag}" in result.stderr
        assert re.search(r"COPY --from=one.*\n(#\d+ pulling .*\n)*#\d+ CACHED", result.stderr), result.stderr


def test_compose(proxied_newer, stays_clean, context, tmp_path):
    if not os.access(NEWER / "docker-compose", os.X_OK):
        pytest.skip("no compose here: tools/testing/fetch-docker gets it")
    (tmp_path / "compose.yaml").write_text(
        f"services:\n  bad:\n    build: {{context: {context}, network: host}}\n")
    refused(run(proxied_newer.environment, "compose", "-f", tmp_path / "compose.yaml", "build"),
            "buildkit.network")


def test_compose_builds(proxied_newer, context, tmp_path):
    if not os.access(NEWER / "docker-compose", os.X_OK):
        pytest.skip("no compose here: tools/testing/fetch-docker gets it")
    (tmp_path / "compose.yaml").write_text(
        f"services:\n  good:\n    image: composed\n    build: {{context: {context}}}\n")
    done(run(proxied_newer.environment, "compose", "-f", tmp_path / "compose.yaml", "build"),
         proxied_newer)
    assert "/file" in output_of(proxied_newer, "composed")


def test_entitlements_switched_off(start_newer, certificates, proxied_newer, context, tmp_path):
    """As README.md advises: the engine refuses by itself what reaches it past the proxy, and what a
    Dockerfile asks for; through the proxy the proxy is first, and ordinary builds work."""
    engine = start_newer(False)
    made = Proxied(engine, certificates, tmp_path, "unix-unix")
    try:
        config = {"DOCKER_CONFIG": proxied_newer.environment["DOCKER_CONFIG"]}
        through = clean_environment() | config | {"DOCKER_HOST": made.url}
        past = through | {"DOCKER_HOST": engine.unix}
        command = ["build", "--progress", "plain", "--no-cache", context]
        done(run(through, *command), made)
        refused(run(through, *command, "--allow", "network.host"), "buildkit.entitlement")
        for entitlement in ("network.host", "security.insecure"):
            result = run(past, *command, "--allow", entitlement)
            assert result.returncode != 0 and "not allowed" in result.stderr, result
        write_dockerfile(context, "--network=host")
        result = run(through, *command)
        assert result.returncode != 0 and "not allowed" in result.stderr, result
    finally:
        made.proxy.stop()


GATEWAY = "/moby.buildkit.v1.frontend.LLBBridge/"


def secret_of(environment, reference):
    """Takes part in somebody's build, with a step that reads its secret."""
    with GrpcClient(environment) as client:
        key = ("buildkit-controlapi-buildid", reference)
        call = client.call(GATEWAY + "Solve", field(1, secret_graph(IMAGE, "s")) + field(5, 1) +
                           field(6, 1) + field(14, 1), key)
        assert client.finish(call) == [("0", "")]
        result = submessage(client.calls[call]["data"][5:], 3, 3, 1).decode()
        call = client.call(GATEWAY + "ReadFile", field(1, result) + field(2, "copy"), key)
        assert client.finish(call) == [("0", "")]
        return submessage(client.calls[call]["data"][5:], 1)


def test_references_of_builds_are_not_listed(newer, certificates, tmp_path, context):
    """They are all that it takes to be let into a build: with ownership nobody is told others'."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"schema": 1, "ownership": true}')
    proxied = Proxied(newer, certificates, tmp_path, "unix-unix", ["--policy-file", policy])
    direct = {"DOCKER_HOST": newer.unix}
    plugins = tmp_path / "docker-config/cli-plugins"
    plugins.mkdir()
    shutil.copy(NEWER / "docker-buildx", plugins)
    (tmp_path / "secret").write_text("sesame")
    write_dockerfile(context, "--mount=type=secret,id=s", "sleep 60")
    build = subprocess.Popen([DOCKER, "build", "--no-cache", "--secret",
                              f"id=s,src={tmp_path}/secret", context],
                             env=proxied.environment | {"DOCKER_BUILDKIT": "1"},
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    try:
        with GrpcClient(direct) as client:
            def listed():
                call = client.call("ListenBuildHistory", ACTIVE)
                assert client.finish(call) == [("0", "")]
                return client.calls[call]["data"]
            wait_until(listed, 30, "the build")
            reference = submessage(listed()[5:], 2, 1).decode()
        assert secret_of(direct, reference) == b"sesame"
        with GrpcClient(proxied.environment) as client:
            calls = [client.call("ListenBuildHistory", message)
                     for message in (ACTIVE, ALL, ACTIVE + field(2, reference))]
            answers = client.finish(*calls)
            assert [status for status, _ in answers] == ["7", "7", "0"]
            assert "(buildkit.history)" in answers[0][1]
            assert reference.encode() in client.calls[calls[2]]["data"]
    finally:
        os.killpg(build.pid, signal.SIGKILL)  # the client and its plugin
        build.wait()
        wait_until(lambda: history(newer, ACTIVE) == 0, 30, "the build's end")
        proxied.proxy.stop()
