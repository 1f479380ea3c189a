"""dind-proxy doctor: in a box with its own network, in front of doors of every kind."""

import shutil
import socket
import subprocess
import threading
import time

import pytest

from agent_box import AGENT, DOCKER0, GATEWAY, GATEWAY_V6, AgentBox, needs
from proxy_process import Proxy, binary, clean_environment
from recorder import Recorder, answer_ok

NOTHING, OPEN, UNKNOWN = 0, 1, 2
FAST = ("--timeout", "700ms")


def engine(connection):
    """As dockerd answers: every answer has its head, and escapes in the path are decoded first."""
    head, _ = connection.read_request()
    found = head.target.replace("%5f", "_") == "/_ping"
    body = b"OK" if found else b'{"message":"page not found"}'
    connection.send(b"HTTP/1.1 %d X\r\nApi-Version: 1.41\r\nServer: Docker/20.10 (linux)\r\n"
                    b"Content-Length: %d\r\n\r\n" % (200 if found else 404, len(body)) + body)


class RecorderV6(Recorder):
    def listen(self):
        self.listener = socket.create_server((self.url, 2375), family=socket.AF_INET6)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()


class World:
    """A box, its certificates, the proxy at the gateway's port 2376, and an engine behind it."""

    def __init__(self, directory, layout):
        needs()
        self.directory = directory
        self.certs = directory / "certs"
        subprocess.run([binary(), "certs", "--dir", self.certs, "--layout", layout], check=True,
                       env=clean_environment(), stdout=subprocess.DEVNULL)
        self.box = AgentBox(directory)
        self.box.mount(self.certs / "agent", "/certs/client")
        self.listening = []
        self.engine = Recorder(f"unix://{directory}/engine.sock", handler=engine)
        self.listening.append(self.engine)
        self.proxy = self.start_proxy()

    def start_proxy(self):
        server = self.certs / "proxy/server"
        return Proxy([f"tcp://{GATEWAY}:2376"], self.engine.url,
                     ["--tls-cert", server / "cert.pem", "--tls-key", server / "key.pem",
                      "--tls-client-ca", server / "ca.pem"], self.directory / "log",
                     prefix=self.box.host.enter())

    def listen(self, url, certs=None, handler=engine):
        with self.box.host.inside():
            made = Recorder(url, certs, handler)
        self.listening.append(made)
        return made

    def doctor(self, *options, **more):
        more["env"] = {"DOCKER_CERT_PATH": "/certs/client"} | more.get("env", {})
        return self.box.doctor(*FAST, *options, **more)

    def close(self):
        if self.proxy:
            self.proxy.stop()
        for made in self.listening:
            made.close()
        self.box.close()


@pytest.fixture
def make_world(tmp_path):
    worlds = []

    def make(layout="split"):
        worlds.append(World(tmp_path, layout))
        return worlds[-1]
    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world):
    return make_world()


def test_all_closed(world):
    status, doors, text = world.doctor()
    assert status == NOTHING, text
    assert doors[f"tcp://{GATEWAY}:2376"] == ("proxy", "the filter answers")
    assert doors[f"tcp://{GATEWAY}:2375"][0] == "closed"
    for name in ("dind", "docker", "host.docker.internal"):
        assert doors[name][0] == "closed", text
    for url in (f"tcp://{DOCKER0}:2375", f"tcp://{DOCKER0}:2376", f"tcp://[{GATEWAY_V6}]:2376",
                f"tcp://{AGENT}:2376", "tcp://127.0.0.1:2376", "unix:///var/run/docker.sock"):
        assert doors[url][0] == "closed", text
    assert text.endswith("nothing is open\n")
    assert not [word for word, _ in doors.values() if word == "OPEN"]


def test_an_engine_that_refuses_the_certificate(world):
    world.listen(f"tcp://{DOCKER0}:2376", world.certs / "dind/server")
    status, doors, text = world.doctor()
    assert status == NOTHING, text
    word, rest = doors[f"tcp://{DOCKER0}:2376"]
    assert word == "refuses" and "TLS wants another certificate" in rest, text
    status, doors, text = world.doctor("--strict")
    assert status == OPEN and doors[f"tcp://{DOCKER0}:2376"][0] == "OPEN", text


def test_an_engine_that_takes_the_certificate(make_world):
    """The hole of the layout shared: docker0's address, with the agent's own certificate."""
    world = make_world("shared")
    world.listen(f"tcp://{DOCKER0}:2376", world.certs / "dind/server")
    status, doors, text = world.doctor()
    assert status == OPEN, text
    assert doors[f"tcp://{DOCKER0}:2376"] == \
        ("OPEN", "an engine answers over TLS, with the certificate in /certs/client")
    assert "1 open\n" in text
    # Also where docker:dind has left the key open to all.
    (world.certs / "agent/key.pem").chmod(0o644)
    assert world.doctor()[0] == OPEN
    # Without the certificate that door is shut.
    status, doors, text = world.doctor(env={"DOCKER_CERT_PATH": "/nowhere"})
    assert doors[f"tcp://{DOCKER0}:2376"][0] == "refuses", text


def test_firewall(make_world):
    world = make_world("shared")
    world.listen(f"tcp://{DOCKER0}:2376", world.certs / "dind/server")
    if not shutil.which("iptables"):
        pytest.skip("iptables is not installed")
    try:
        world.box.agent.run("iptables", "-A", "OUTPUT", "-d", DOCKER0, "-p", "tcp", "--dport",
                            "2376", "-j", "DROP")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"iptables does not work here: {error.stderr}")
    begin = time.monotonic()
    status, doors, text = world.doctor()
    assert status == NOTHING, text
    assert doors[f"tcp://{DOCKER0}:2376"] == ("closed", "no answer in time")
    assert time.monotonic() - begin < 10


def test_plain_engine(world):
    world.listen(f"tcp://{DOCKER0}:2375")
    status, doors, text = world.doctor()
    assert status == OPEN, text
    assert doors[f"tcp://{DOCKER0}:2375"] == ("OPEN", "an engine answers")


def test_plain_engine_by_ipv6(world):
    with world.box.host.inside():
        world.listening.append(RecorderV6(GATEWAY_V6, handler=engine))
    status, doors, text = world.doctor()
    assert status == OPEN, text
    assert doors[f"tcp://[{GATEWAY_V6}]:2375"] == ("OPEN", "an engine answers")


def test_engine_by_name(world):
    world.box.hosts({"dind-proxy": GATEWAY, "engine.example": DOCKER0})
    world.listen(f"tcp://{DOCKER0}:4243")
    status, doors, text = world.doctor("--engine", "engine.example", "--port", "4243")
    assert status == OPEN, text
    assert f"OPEN     tcp://{DOCKER0}:4243 (engine.example): an engine answers\n" in text
    assert world.doctor("--probe", f"tcp://{DOCKER0}:4243")[0] == OPEN
    assert world.doctor()[0] == NOTHING


def test_neighbour_without_a_default_route(world):
    """An internal network has no route out, but its bridge has an address."""
    world.box.agent.run("ip", "route", "del", "default")
    world.box.agent.run("ip", "-6", "route", "del", "default")
    world.listen(f"tcp://{GATEWAY}:2375")
    with world.box.host.inside():
        world.listening.append(RecorderV6(GATEWAY_V6, handler=engine))
    status, doors, text = world.doctor()
    assert status == OPEN, text
    assert doors[f"tcp://{GATEWAY}:2375"] == ("OPEN", "an engine answers")
    assert doors[f"tcp://[{GATEWAY_V6}]:2375"] == ("OPEN", "an engine answers")


def test_proxy_elsewhere_is_no_hole(world):
    """What filters is recognised wherever it answers, also without TLS."""
    world.box.agent.run("ip", "link", "set", "lo", "up")
    second = Proxy(["tcp://127.0.0.1:2375"], world.engine.url, log=world.directory / "log2",
                   prefix=world.box.agent.enter())
    try:
        status, doors, text = world.doctor()
        assert status == NOTHING, text
        assert doors["tcp://127.0.0.1:2375"] == ("proxy", "the filter answers")
    finally:
        second.stop()


def test_docker_host_past_the_proxy(world):
    world.listen(f"tcp://{DOCKER0}:2375")
    status, doors, text = world.doctor(host=f"tcp://{DOCKER0}:2375")
    assert status == OPEN and doors[f"tcp://{DOCKER0}:2375"][0] == "OPEN", text


def test_proxy_by_unix_socket(world):
    (world.directory / "run").mkdir()
    second = Proxy([f"unix://{world.directory}/run/docker.sock"], world.engine.url,
                   log=world.directory / "log2")
    world.box.mount(world.directory / "run", "/run/dind-proxy")
    try:
        status, doors, text = world.doctor(host="unix:///run/dind-proxy/docker.sock")
        assert status == NOTHING, text
        assert doors["unix:///run/dind-proxy/docker.sock"] == ("proxy", "the filter answers")
    finally:
        second.stop()


@pytest.mark.parametrize("target", ["/var/run/docker.sock", "/mnt/odd place/x.sock"])
def test_mounted_socket(world, target):
    world.box.mount(world.directory / "engine.sock", target)
    status, doors, text = world.doctor()
    assert status == OPEN, text
    assert f"OPEN     unix://{target}: an engine answers\n" in text


def test_socket_in_a_mounted_folder(world):
    (world.directory / "deep/er").mkdir(parents=True)
    world.listening.append(Recorder(f"unix://{world.directory}/deep/er/engine", handler=engine))
    world.listening.append(Recorder(f"unix://{world.directory}/deep/er/else", handler=answer_ok))
    world.box.mount(world.directory / "deep", "/data")
    status, doors, text = world.doctor()
    assert status == OPEN and doors["unix:///data/er/engine"][0] == "OPEN", text
    assert "1 open\n" in text and "1 more unix sockets: no engine" in text


def serve_grpc(listener):
    """Begins as gRPC's servers do: with a SETTINGS frame, once the preface has come."""
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock:
            if sock.recv(100).startswith(b"PRI * HTTP/2.0"):
                sock.sendall(b"\0\0\6\4\0\0\0\0\0" + b"\0\5\0\0\x40\0")


@pytest.mark.parametrize("name, counts", [("containerd.sock", True), ("other.sock", False)])
def test_containerd(world, name, counts):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(world.directory / name))
    listener.listen()
    threading.Thread(target=serve_grpc, args=(listener,), daemon=True).start()
    world.box.mount(world.directory / name, f"/mnt/{name}")
    try:
        status, doors, text = world.doctor()
        assert status == (OPEN if counts else NOTHING), text
        if counts:
            assert doors[f"unix:///mnt/{name}"] == ("OPEN", "containerd or BuildKit answers")
    finally:
        listener.close()


def silent(connection):
    time.sleep(30)


def teapot(connection):
    connection.read_request()
    connection.send(b"HTTP/1.1 418 X\r\nContent-Length: 0\r\n\r\n")


def noise(connection):
    connection.send(b"SSH-2.0-OpenSSH_9\r\n")
    connection.read_request()


@pytest.mark.parametrize("handler, words", [
    (silent, "says nothing"), (teapot, "an HTTP server that is no engine (418)"),
    (noise, "")], ids=["silent", "teapot", "noise"])
def test_others(world, handler, words):
    world.listen(f"tcp://{DOCKER0}:2375", handler=handler)
    begin = time.monotonic()
    status, doors, text = world.doctor()
    assert status == NOTHING, text
    word, rest = doors[f"tcp://{DOCKER0}:2375"]
    assert word == "other" and words in rest, text
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize("place, shown", [("agent-ca", "/certs/ca"), ("dind/ca", "/certs/ca"),
                                          ("dind", "/opt/docker-certs")])
def test_authority_key(world, place, shown):
    world.box.mount(world.certs / place, shown)
    status, doors, text = world.doctor()
    assert status == OPEN, text
    key = f"{shown}/ca/key.pem" if place == "dind" else f"{shown}/key.pem"
    owner = "agent" if place == "agent-ca" else "dind"
    assert f"OPEN     {key}: the key of a CA, with which certificates can be made " \
        f"(dind-proxy {owner} CA)\n" in text
    # Those of leaves are none.
    assert "1 open\n" in text


def test_authority_key_alone(world):
    (world.certs / "agent-ca/cert.pem").unlink()
    world.box.mount(world.certs / "agent-ca", "/certs/ca")
    status, doors, text = world.doctor()
    # Its certificate lies in the agent's own folder.
    assert status == OPEN and "(dind-proxy agent CA)" in text
    (world.certs / "dind/ca/cert.pem").unlink()
    world.box.mount(world.certs / "dind/ca", "/certs/other/ca")
    text = world.doctor()[2]
    assert "/certs/other/ca/key.pem: the key of a CA" in text and "(by its name)" in text


def test_could_not_check(world):
    # No engine behind the proxy: a closed door may be closed for now.
    world.engine.close()
    (world.directory / "engine.sock").unlink()
    status, doors, text = world.doctor()
    assert status == UNKNOWN and "engine behind the proxy does not answer" in text
    assert doors[f"tcp://{GATEWAY}:2376"][1].endswith("no engine (503)"), text
    # No certificate.
    status, doors, text = world.doctor(env={"DOCKER_CERT_PATH": "/nowhere"})
    assert status == UNKNOWN and "the proxy wants another certificate" in text
    # No proxy.
    world.proxy.stop()
    world.proxy = None
    status, doors, text = world.doctor()
    assert status == UNKNOWN and "the proxy does not answer" in text
    # What is open is open all the same.
    world.listen(f"tcp://{DOCKER0}:2375")
    assert world.doctor()[0] == OPEN


def run(*options, env=None):
    return subprocess.run([binary(), "doctor", *options], capture_output=True, text=True,
                          env=clean_environment() | (env or {}))


def test_usage():
    result = run()
    assert result.returncode == UNKNOWN and result.stdout == ""
    assert "neither DOCKER_HOST nor --proxy" in result.stderr
    for options, words in ((("--proxy", "http://x"), "--proxy http://x"),
                           (("--port", "0"), "--port 0"), (("--port", "70000"), "--port 70000"),
                           (("--timeout", "2"), "--timeout 2"), (("--engine", ""), "--engine"),
                           (("--probe", "dind"), "--probe dind"), (("what",), "unexpected")):
        result = run(*options, env={"DOCKER_HOST": "unix:///x"})
        assert result.returncode == UNKNOWN and words in result.stderr, result
    assert "DOCKER_HOST=ssh://x" in run(env={"DOCKER_HOST": "ssh://x"}).stderr
    result = run("--help")
    assert result.returncode == 0 and max(map(len, result.stdout.splitlines())) <= 100
