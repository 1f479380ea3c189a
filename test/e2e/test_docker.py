"""Everyday work with the docker client through the proxy, against a real engine."""

import json
import os
import pty
import select
import subprocess
import tarfile
import time

import pytest

from client import Client
from docker_engine import DOCKER, IMAGE, SECOND_DOCKER
from proxy_process import sanitizer
from recorder import wait_until

GIB = 1 << 30
# What the proxy may hold at most, whatever passes through. Sanitizers multiply memory.
MEMORY_BOUND_KIB = (1024 if sanitizer() else 64) * 1024


@pytest.mark.ktls
def test_version_and_info(proxied):
    version = json.loads(proxied.docker("version", "--format", "{{json .}}").stdout)
    assert version["Server"]["Version"]
    assert proxied.docker("info", "--format", "{{.ServerVersion}}").stdout.strip() \
        == version["Server"]["Version"]


@pytest.mark.ktls
def test_run(proxied):
    assert proxied.docker("run", "--rm", IMAGE, "echo", "hello").stdout == "hello\n"


def test_run_separates_output_and_error(proxied):
    result = proxied.docker("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7",
                            check=False)
    assert (result.returncode, result.stdout, result.stderr) == (7, "out\n", "err\n")


def test_run_with_ordinary_options(proxied):
    result = proxied.docker(
        "run", "--rm", "-e", "A=b", "-w", "/tmp", "--label", "x=y", "--memory", "64m", "--cpus",
        "0.5", "--tmpfs", "/t", "--read-only", "--cap-drop", "ALL", "--security-opt",
        "no-new-privileges", "--user", "1000:1000", "-v", "e2e-data:/data", "--init",
        IMAGE, "sh", "-c", "echo $A; id -u")
    assert result.stdout == "b\n1000\n"
    proxied.docker("volume", "rm", "e2e-data")


def test_networking(proxied, name):
    """Containers of a network of their own reach each other by name."""
    network = name + "-net"
    proxied.docker("network", "create", network)
    try:
        proxied.docker("run", "-d", "--name", name, "--network", network, IMAGE, "sh", "-c",
                       "while true; do echo served | nc -l -p 80; done")
        result = wait_until(lambda: (r := proxied.docker(
            "run", "--rm", "--network", network, IMAGE, "sh", "-c", f"nc {name} 80 </dev/null",
            check=False)).stdout == "served\n" and r, 20, "an answer by name")
        assert result.returncode == 0
    finally:
        proxied.engine.docker("rm", "-f", name)
        proxied.docker("network", "rm", network)


@pytest.mark.ktls
def test_echo_into_run_interactive_ends(proxied):
    """Half-close: stdin's end goes in, output and the end come out."""
    result = proxied.docker("run", "--rm", "-i", IMAGE, "cat", input="x\n", timeout=20)
    assert result.stdout == "x\n"


@pytest.mark.ktls
def test_megabytes_through_stdin_and_stdout(proxied):
    data = os.urandom(8 << 20)
    result = proxied.docker("run", "--rm", "-i", IMAGE, "cat", input=data, text=False)
    assert result.stdout == data


@pytest.mark.ktls
def test_run_with_a_terminal(proxied):
    """-it on a pseudo-terminal: what is typed comes to the shell, which sees a terminal."""
    master, slave = pty.openpty()
    process = proxied.popen("run", "--rm", "-it", IMAGE, "sh", stdin=slave, stdout=slave,
                            stderr=slave, start_new_session=True)
    os.close(slave)
    output = b""
    deadline = time.monotonic() + 30
    typed = False
    try:
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 0.2)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                data = os.read(master, 4096)
            except OSError:
                break
            if not data:
                break
            output += data
            if not typed and b"#" in output:
                os.write(master, b"tty; echo sum $((20+22)); exit 3\r")
                typed = True
        assert process.wait(10) == 3, output
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"/dev/pts/" in output and b"sum 42" in output, output


@pytest.mark.ktls
def test_logs_follow(proxied, name):
    """Lines come as they are written, not when the container ends."""
    proxied.docker("run", "-d", "--name", name, "-i", IMAGE, "sh", "-c",
                   "echo one; while read x && test $x != end; do echo got $x; done")
    follow = proxied.popen("logs", "-f", name, stdout=subprocess.PIPE, text=True)
    try:
        assert follow.stdout.readline() == "one\n"
        attached = proxied.popen("attach", name, stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, text=True)
        for word in ("a", "b"):
            attached.stdin.write(word + "\n")
            attached.stdin.flush()
            assert follow.stdout.readline() == f"got {word}\n"
        attached.stdin.write("end\n")
        attached.stdin.close()
        assert follow.stdout.readline() == ""
        assert follow.wait(10) == 0
        assert attached.wait(10) == 0
    finally:
        follow.kill()
        follow.wait()
        follow.stdout.close()


def test_logs_of_much(proxied, name):
    proxied.docker("run", "--name", name, IMAGE, "seq", "200000")
    lines = proxied.docker("logs", name).stdout.split()
    assert lines == [str(n) for n in range(1, 200001)]


def test_lifecycle(proxied, name):
    proxied.docker("create", "--name", name, IMAGE, "sleep", "60")
    proxied.docker("start", name)
    assert name in proxied.docker("ps").stdout
    proxied.docker("pause", name)
    proxied.docker("unpause", name)
    assert "sleep" in proxied.docker("top", name, "-o", "pid,args").stdout
    assert "CPU" in proxied.docker("stats", "--no-stream", name).stdout
    proxied.docker("restart", "-t", "0", name)
    proxied.docker("kill", name)
    assert proxied.docker("wait", name).stdout.strip() == "137"
    assert json.loads(proxied.docker("inspect", name).stdout)[0]["State"]["Status"] == "exited"
    proxied.docker("rm", name)


def test_wait_is_answered_when_the_container_ends(proxied, name):
    proxied.docker("run", "-d", "-i", "--name", name, IMAGE, "sh", "-c", "read x; exit 5")
    waiting = proxied.popen("wait", name, stdout=subprocess.PIPE, text=True)
    proxied.docker("attach", name, input="go\n", check=False)
    assert waiting.communicate(timeout=10)[0].strip() == "5"


@pytest.mark.ktls
def test_copy_out(proxied, name, tmp_path):
    proxied.docker("run", "--name", name, IMAGE, "sh", "-c",
                   "mkdir /d; seq 100000 > /d/numbers; echo x > /d/x")
    proxied.docker("cp", f"{name}:/d", str(tmp_path / "out"))
    assert (tmp_path / "out/numbers").read_text().split()[-1] == "100000"
    assert (tmp_path / "out/x").read_text() == "x\n"


@pytest.mark.ktls
def test_build(proxied, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        f"FROM {IMAGE}\nARG WHO\nCOPY file /file\nRUN echo $WHO >> /file\nCMD cat /file\n")
    (tmp_path / "file").write_text("hello ")
    tag = f"e2e/build-{proxied.kind}"
    output = proxied.docker("build", "-t", tag, "--build-arg", "WHO=world", str(tmp_path)).stdout
    assert "Successfully built" in output
    assert proxied.docker("run", "--rm", tag).stdout == "hello world\n"
    proxied.docker("rmi", tag)


def test_build_that_fails_shows_why(proxied, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo the reason && false\n")
    result = proxied.docker("build", str(tmp_path), check=False)
    assert result.returncode != 0
    assert "the reason" in result.stdout and "returned a non-zero code: 1" in result.stderr


def test_build_with_a_gibibyte_of_context(proxied, tmp_path):
    """Nothing of it stays in the proxy."""
    with open(tmp_path / "zeros", "wb") as file:
        file.truncate(GIB)
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY Dockerfile /\n")
    tag = f"e2e/big-{proxied.kind}"
    output = proxied.docker("build", "-t", tag, str(tmp_path), timeout=300).stdout
    assert "Successfully built" in output
    assert proxied.proxy.status("VmHWM") < MEMORY_BOUND_KIB
    proxied.docker("rmi", tag)


@pytest.mark.ktls
def test_save_and_load(proxied, tmp_path):
    archive = tmp_path / "image.tar"
    tag = f"e2e/saved-{proxied.kind}:1"
    proxied.docker("tag", IMAGE, tag)
    proxied.docker("save", "-o", str(archive), tag)
    with tarfile.open(archive) as tar:
        assert "manifest.json" in tar.getnames()
    proxied.docker("rmi", tag)
    assert tag in proxied.docker("load", "-i", str(archive)).stdout
    assert proxied.docker("run", "--rm", tag, "echo", "loaded").stdout == "loaded\n"
    proxied.docker("rmi", tag)


def test_import_and_export(proxied, name, tmp_path):
    proxied.docker("create", "--name", name, IMAGE, "true")
    exported = tmp_path / "root.tar"
    proxied.docker("export", "-o", str(exported), name)
    tag = f"e2e/imported-{proxied.kind}:1"
    with open(exported, "rb") as file:
        proxied.docker("import", "-", tag, stdin=file)
    assert proxied.docker("run", "--rm", tag, "echo", "imported").stdout == "imported\n"
    proxied.docker("rmi", tag)


@pytest.mark.ktls
def test_events(proxied, name):
    events = proxied.popen("events", "--filter", f"container={name}", "--format",
                           "{{.Action}}", stdout=subprocess.PIPE, text=True)
    try:
        proxied.docker("run", "--name", name, IMAGE, "true")
        wanted = ["create", "attach", "start", "die"]
        # Past events, asked for by time: a stream that the engine ends.
        wait_until(lambda: proxied.docker(
            "events", "--since", "10m", "--until", "0s", "--filter", f"container={name}",
            "--format", "{{.Action}}").stdout.split() == wanted, 10, f"the events {wanted}")
        proxied.docker("rm", name)
        seen = []
        while "destroy" not in seen:
            line = events.stdout.readline()
            assert line, seen
            seen.append(line.strip())
    finally:
        events.kill()
        events.wait()
        events.stdout.close()


@pytest.mark.slow
def test_silence_longer_than_every_timer(impatient):
    """attach, logs -f, events and wait stay through a silence of several of the proxy's timers."""
    run = impatient.popen("run", "--rm", "-i", IMAGE, "sh", "-c",
                          "read x; sleep 3; echo got $x; read y; echo and $y",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    events = impatient.popen("events", "--format", "{{.Action}}", "--filter", "event=die",
                             stdout=subprocess.PIPE, text=True)
    try:
        run.stdin.write("one\n")
        run.stdin.flush()
        assert run.stdout.readline() == "got one\n"
        time.sleep(2.5)  # the silence is what is tested
        run.stdin.write("two\n")
        run.stdin.flush()
        assert run.stdout.readline() == "and two\n"
        assert run.wait(10) == 0
        assert events.stdout.readline() == "die\n"
    finally:
        for process in (run, events):
            process.kill()
            process.wait()
            process.stdout.close()


def test_push_and_pull(proxied, registry):
    tag = f"{registry}/e2e/{proxied.kind}:1"
    proxied.docker("tag", IMAGE, tag)
    assert "digest: sha256:" in proxied.docker("push", tag).stdout
    proxied.docker("rmi", tag)
    assert "Downloaded newer image" in proxied.docker("pull", tag).stdout
    assert proxied.docker("run", "--rm", tag, "echo", "pulled").stdout == "pulled\n"
    proxied.docker("rmi", tag)


def test_pull_that_fails_shows_why(proxied, registry):
    result = proxied.docker("pull", f"{registry}/no/such:1", check=False)
    assert result.returncode != 0 and "not found" in result.stderr


def test_compose(proxied, tmp_path):
    program = "/usr/bin/docker-compose"
    if not os.access(program, os.X_OK):
        pytest.skip("docker-compose is not installed")
    (tmp_path / "docker-compose.yml").write_text(f"""
version: "3"
services:
  server:
    image: {IMAGE}
    command: sh -c "while true; do echo served | nc -l -p 80; done"
    volumes: ["data:/data"]
    init: true
  client:
    image: {IMAGE}
    depends_on: [server]
    command: sh -c "until nc server 80 </dev/null; do sleep 0.2; done"
volumes:
  data:
""")

    def compose(*arguments):
        return subprocess.run([program, "--project-name", "e2e" + proxied.kind.replace("-", ""),
                               *arguments], cwd=tmp_path, env=proxied.environment, text=True,
                              capture_output=True, timeout=120)
    try:
        up = compose("up", "-d")
        assert up.returncode == 0, up.stderr
        wait_until(lambda: "served" in compose("logs", "client").stdout, 30, "the service's answer")
        assert "server" in compose("ps").stdout
    finally:
        down = compose("down", "-v", "-t", "1")
    assert down.returncode == 0, down.stderr


@pytest.mark.parametrize("arguments,output", [
    (["run", "--rm", IMAGE, "echo", "second"], "second\n"),
    (["run", "--rm", "-v", "/:/host", IMAGE, "true"], None),
])
def test_a_newer_client(proxied, arguments, output):
    """Another docker client than Debian's, where there is one."""
    if not os.access(SECOND_DOCKER, os.X_OK) or os.path.realpath(SECOND_DOCKER) == DOCKER:
        pytest.skip(f"no second docker client at {SECOND_DOCKER}; "
                    "DIND_PROXY_SECOND_DOCKER names another")
    result = proxied.docker(*arguments, client=SECOND_DOCKER, check=False)
    if output is None:
        assert result.returncode == 125 and "blocked by jailoc proxy: " in result.stderr
    else:
        assert (result.returncode, result.stdout) == (0, output), result.stderr


@pytest.mark.parametrize("path,status", [
    (IMAGE.replace("/", "%2F") + "/json", 200),
    (IMAGE.replace("/", "%2f") + "/history", 200),
    ("nobody%2Fhas:1/json", 404),
    # What the engine would redirect or route elsewhere.
    (IMAGE.replace("/", "%2F%2F") + "/json", 400),
    ("x%2F..%2F..%2Fcontainers%2Fjson", 400),
])
def test_slashes_in_image_names_escaped_as_docker_java_does(proxied, path, status):
    certificate = proxied.environment.get("DOCKER_CERT_PATH")
    with Client(proxied.url, certificate) as client:
        client.send(f"GET /v1.41/images/{path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
        response = client.read_response("GET")
    assert response.status == status, response.body
    if status == 404:
        assert "nobody/has:1" in response.message()
    if path.endswith("/json") and status == 200:
        assert IMAGE in response.json()["RepoTags"]


def test_a_client_without_the_right_certificate_gets_nothing(proxied, certificates):
    if proxied.kind != "mtls-mtls":
        return
    for stranger in ("stranger", "dind-client"):
        environment = proxied.environment | {
            "DOCKER_CERT_PATH": str(certificates / stranger)}
        result = subprocess.run([DOCKER, "version"], env=environment, capture_output=True,
                                text=True, timeout=20)
        assert result.returncode != 0 and "Server:" not in result.stdout


def test_the_agents_certificate_is_of_no_use_at_the_engine(proxied, certificates):
    """Past the proxy: the engine does not trust the agents' CA."""
    environment = proxied.environment | {
        "DOCKER_HOST": proxied.engine.tcp, "DOCKER_TLS_VERIFY": "",
        "DOCKER_TLS": "1", "DOCKER_CERT_PATH": str(certificates / "agent")}
    result = subprocess.run([DOCKER, "--tls", "version"], env=environment, capture_output=True,
                            text=True, timeout=20)
    assert result.returncode != 0 and "Server:" not in result.stdout
