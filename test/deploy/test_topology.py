"""The whole of the compose files on a real engine: an agent, dind-proxy, and a dockerd in a container.

The engine that runs it is a private dockerd of the machine's; dind and the agent are made of the
machine's own programs (Debian's docker.io), dind-proxy's image is the one that build-image makes. Skipped
where no engine runs, or none within a container of it; the reason is then what was seen."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import host_images
from conftest import DEPLOY, need
from proxy_process import binary, clean_environment
from recorder import wait_until

HERE = Path(__file__).resolve().parent

DIND_START = """#!/bin/sh
# As docker:dind does: TLS with what is in /certs/server, made if need be.
set -e
export PATH=/usr/bin:/bin
if [ ! -s /certs/server/cert.pem ]; then
    # Its own certificates, as docker:dind lays them out; its client's key is open to everybody.
    cd /certs
    printf 'subjectAltName = DNS:localhost,%s\nextendedKeyUsage = serverAuth\n' "$DOCKER_TLS_SAN" > /tmp/server
    echo 'extendedKeyUsage = clientAuth' > /tmp/client
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=docker:dind CA" \\
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \\
        -keyout ca/key.pem -out ca/cert.pem
    for part in server client; do
        openssl req -new -newkey rsa:2048 -nodes -subj "/CN=docker:dind $part" \\
            -keyout $part/key.pem -out /tmp/request
        openssl x509 -req -in /tmp/request -CA ca/cert.pem -CAkey ca/key.pem -CAcreateserial \\
            -days 30 -extfile /tmp/$part -out $part/cert.pem
        cp ca/cert.pem $part/ca.pem
    done
    chmod 0644 client/key.pem
fi
rm -f /var/run/docker.pid /run/docker.pid
exec dockerd --host unix:///var/run/docker.sock --host tcp://0.0.0.0:2376 --tlsverify \\
    --tlscacert /certs/server/ca.pem --tlscert /certs/server/cert.pem --tlskey /certs/server/key.pem
"""
INNER = "inner:1"
GATEWAY = "172.17.0.1"
BLOCKED = "blocked by jailoc proxy"


class Topology:
    """`docker-compose up` of a project of its own."""

    def __init__(self, engine, image, layout):
        self.engine = engine
        self.project = f"topology-{layout}"
        self.layout = layout.removesuffix("-import")
        self.file = "compose.shared.yaml" if layout == "shared-import" else "compose.yaml"
        self.environment = clean_environment() | {
            "DOCKER_HOST": engine.unix, "DIND_PROXY_IMAGE": image, "DIND_IMAGE": "host-dind:1",
            "AGENT_IMAGE": "host-agent:1", "DIND_PROXY_LAYOUT": self.layout,
            "COMPOSE_PROJECT_NAME": self.project, "PATH": os.environ["PATH"]}

    def compose(self, *words, timeout=240):
        return subprocess.run(["docker-compose", "-f", DEPLOY / "compose" / self.file, *words],
                              env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=timeout)

    def container(self, service):
        return self.compose("ps", "-q", service).stdout.strip()

    def execute(self, service, *command, user="0:0", stdin=None):
        words = ["exec", *(["-i"] if stdin else []), "-u", user, self.container(service), *command]
        return self.engine.docker(*words, text=True, **({"input": stdin} if stdin else {}))

    def agent(self, *command, stdin=None):
        """As the agent: through its container, as its user."""
        return self.execute("opencode", *command, user="1000:1000", stdin=stdin)

    def docker(self, *words, stdin=None):
        return self.agent("docker", *words, stdin=stdin)

    def address(self, service):
        text = self.engine.docker("inspect", self.container(service), text=True).stdout
        networks = json.loads(text)[0]["NetworkSettings"]["Networks"]
        return next(n["IPAddress"] for name, n in networks.items() if name.endswith("_engine")
                    or service != "dind-proxy")

    def logs(self):
        return self.compose("ps").stdout + self.compose("logs", "--tail", "40").stdout


def grant_what_there_is(engine):
    """Privileged containers, on a machine whose root lacks a capability: see runc-within-bounds."""
    bounds = next(int(line.split()[1], 16) for line in open("/proc/self/status")
                  if line.startswith("CapBnd:"))
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    if bounds == (2 << last) - 1:
        return
    (engine.directory / "daemon.json").write_text(json.dumps({
        "runtimes": {"within-bounds": {"path": str(HERE / "runc-within-bounds")}},
        "default-runtime": "within-bounds"}))
    os.kill(engine.pid, signal.SIGHUP)
    wait_until(lambda: "within-bounds" in engine.docker(
        "info", "--format", "{{.DefaultRuntime}}", text=True).stdout, 20, "the other runtime")


@pytest.fixture(scope="session")
def images(engine, image, tmp_path_factory):
    """dind's and the agent's, in the outer engine; the archive of what runs inside of dind."""
    directory = tmp_path_factory.mktemp("images")
    grant_what_there_is(engine)
    host_images.write(directory / "dind.tar", ("openssl", *host_images.DOCKERD,
                                               *host_images.FIREWALL),
                      extra=[("/etc/ssl/openssl.cnf", "usr/lib/ssl/openssl.cnf")],
                      scripts=[("usr/bin/start-dind", DIND_START)])
    host_images.load(engine.docker, directory / "dind.tar", "host-dind:1",
                     'ENTRYPOINT ["/usr/bin/start-dind"]', "ENV PATH=/usr/bin:/bin")
    host_images.write(directory / "agent.tar", ("docker", "setpriv", "getent",
                                                *host_images.FIREWALL),
                      extra=[(binary(), "usr/bin/dind-proxy")])
    host_images.load(engine.docker, directory / "agent.tar", "host-agent:1",
                     "ENV PATH=/usr/bin:/bin HOME=/tmp")
    host_images.write(directory / "inner.tar", ("docker",))
    return directory


@pytest.fixture(scope="module", params=("split", "shared", "shared-import"))
def topology(request, engine, image, images):
    need("docker-compose")
    help_text = subprocess.run([binary(), "--help"], capture_output=True, text=True).stdout
    if "certs" not in help_text:
        pytest.skip("this build has no `certs` command, so nothing makes the certificates")
    made = Topology(engine, image, request.param)
    try:
        result = made.compose("up", "-d", "--no-build")
        dind = engine.docker("logs", made.container("dind"), text=True)
        if result.returncode != 0 and "is unhealthy" in result.stderr and \
                "failed to start daemon" in dind.stderr:
            pytest.skip("no engine runs in a container here: "
                        + dind.stderr.strip().splitlines()[-1][-300:])
        assert result.returncode == 0, result.stderr[-2000:] + made.logs()[-6000:]
        with open(images / "inner.tar", "rb") as file:
            loaded = engine.docker("exec", "-i", made.container("dind"), "docker", "import",
                                   "-c", "ENV PATH=/usr/bin:/bin", "-", INNER, stdin=file)
        assert loaded.returncode == 0, loaded.stderr
        yield made
    finally:
        made.compose("down", "-v", "-t", "3")


def process_status(pid):
    return dict(line.partition(":")[::2]
                for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def test_docker_works_from_the_agent(topology):
    result = topology.docker("run", "--name", "first", INNER, "echo", "hello")
    assert (result.returncode, result.stdout) == (0, "hello\n"), result.stderr + topology.logs()
    assert topology.docker("logs", "first").stdout == "hello\n"
    assert topology.docker("run", "--rm", "-i", INNER, "cat", stdin="in and out").stdout \
        == "in and out"
    build = topology.agent("sh", "-c", f"mkdir -p /tmp/b && printf 'FROM {INNER}\\nRUN echo x > "
                           "/x\\nCMD cat /x\\n' > /tmp/b/Dockerfile && docker build -t built /tmp/b")
    assert build.returncode == 0 and "Successfully built" in build.stdout, build.stderr
    assert topology.docker("run", "--rm", "built").stdout == "x\n"


def test_the_agents_client_chooses_its_builder(topology):
    """The one in the agent has no buildx, and builds by the classic builder, as seen above."""
    environment = topology.agent("env").stdout
    assert "DOCKER_HOST=" in environment and "DOCKER_BUILDKIT" not in environment


@pytest.mark.parametrize("words", (
    ("run", "--privileged", INNER, "true"), ("run", "--network", "host", INNER, "true"),
    ("run", "--pid", "host", INNER, "true"), ("run", "--cap-add", "SYS_ADMIN", INNER, "true"),
    ("run", "-v", "/:/host", INNER, "true"), ("run", "-v", "/certs:/c", INNER, "true"),
    ("run", "-v", "/var/run/docker.sock:/s", INNER, "true"),
    ("run", "--device", "/dev/null", INNER, "true"),
    ("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", "device=/", "v"),
    ("swarm", "init"), ("plugin", "install", "x")), ids=" ".join)
def test_refusals(topology, words):
    result = topology.docker(*words)
    assert result.returncode != 0 and BLOCKED in result.stderr, result


def test_exec_is_refused(topology):
    topology.docker("run", "-d", "--name", "sleeper", INNER, "sleep", "600")
    try:
        result = topology.docker("exec", "sleeper", "id")
        assert result.returncode != 0 and BLOCKED in result.stderr + result.stdout, result
    finally:
        topology.docker("rm", "-f", "sleeper")


def test_the_agent_does_not_reach_dind(topology):
    """Neither by name nor by the address that it has on its own network."""
    address = topology.address("dind")
    for host in ("dind", address):
        for port in ("2375", "2376"):
            result = topology.agent("nc", "-w", "2", host, port, stdin="x")
            assert result.returncode != 0, (host, port, result)
    proxy = topology.agent("nc", "-w", "2", "dind-proxy", "2376", stdin="x")
    assert proxy.returncode == 0, proxy


def test_the_entrypoint_has_given_up_root(topology):
    """What the command has; what went before it is gone, but for the init that reaps."""
    def commands_then():
        """Looking for a name that is not there may take the resolver a while."""
        top = topology.engine.docker("top", topology.container("opencode"), "-o", "pid,args",
                                     text=True).stdout
        found = [line.split(None, 1) for line in top.splitlines()[1:]]
        return found if any(args.startswith("sleep") for _, args in found) else None
    commands = wait_until(commands_then, 60, "the command")
    assert not [args for _, args in commands if "jailoc-entrypoint" in args
                and "docker-init" not in args], commands
    pid = next(pid for pid, args in commands if args.startswith("sleep"))
    status = process_status(pid)
    assert status["Uid"].split() == status["Gid"].split() == ["1000"] * 4
    assert {int(status[c], 16) for c in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}


def test_on_dinds_network_the_entrypoint_drops(topology):
    """An agent put on dind's network resolves its name; the way is then closed by DROP."""
    engine = topology.engine
    name = f"{topology.project}-near"
    started = engine.docker(
        "run", "-d", "--name", name, "--network", f"{topology.project}_engine", "--cap-drop",
        "ALL", "--cap-add", "NET_ADMIN", "--cap-add", "SETUID", "--cap-add", "SETGID",
        "--security-opt", "no-new-privileges", "-v",
        f"{DEPLOY}/agent/entrypoint.sh:/entrypoint.sh:ro", "--entrypoint", "/entrypoint.sh",
        "host-agent:1", "sleep", "600", text=True)
    assert started.returncode == 0, started.stderr
    try:
        def dial(host, port):
            begin = time.monotonic()
            result = engine.docker("exec", "-i", "-u", "1000:1000", name, "nc", "-w", "3", host,
                                   port, text=True, input="x")
            return result.returncode, time.monotonic() - begin
        deadline = time.monotonic() + 20
        while "sleep" not in engine.docker("top", name, text=True).stdout.replace("entrypoint", ""):
            assert time.monotonic() < deadline, engine.docker("logs", name, text=True).stderr
            time.sleep(0.2)
        rules = engine.docker("exec", name, "iptables", "-S", "JAILOC-OUTPUT", text=True)
        assert f"-d {topology.address('dind')}/32 -p tcp -m tcp --dport 2376 -j DROP" \
            in rules.stdout, rules
        status, seconds = dial("dind", "2376")
        assert status != 0 and seconds > 2, "dropped, not refused"
        assert dial("dind-proxy", "2376")[0] == 0
    finally:
        engine.docker("rm", "-f", name)


def test_an_inner_container_with_the_agents_certificate(topology):
    """Started through the proxy, it dials dind at its bridge's gateway: refused in `split`; in
    `shared` that is the hole which the README states."""
    build = topology.agent(
        "sh", "-c", "mkdir -p /tmp/c && cp /certs/client/*.pem /tmp/c && printf "
        f"'FROM {INNER}\\nCOPY *.pem /c/\\n' > /tmp/c/Dockerfile && docker build -t thief /tmp/c")
    assert build.returncode == 0, build.stderr
    result = topology.docker(
        "run", "--rm", "thief", "docker", "--tls", "--tlscacert", "/c/ca.pem", "--tlscert", "/c/cert.pem", "--tlskey",
        "/c/key.pem", "-H", f"tcp://{GATEWAY}:2376", "ps", "-q")
    if topology.layout == "split":
        assert result.returncode != 0, result
        assert "certificate" in result.stderr, result
    else:
        assert result.returncode == 0, result


def test_doctor_says_so(topology):
    result = topology.agent("dind-proxy", "doctor", "--probe", f"tcp://{topology.address('dind')}:2376",
                            "--probe", f"tcp://{GATEWAY}:2376")
    print(result.stdout, result.stderr)
    assert result.returncode == 0, result


def test_health_and_rights_of_the_proxy(topology):
    engine = topology.engine
    state = json.loads(engine.docker("inspect", topology.container("dind-proxy"),
                                     text=True).stdout)[0]
    assert state["State"]["Health"]["Status"] == "healthy"
    status = process_status(state["State"]["Pid"])
    assert status["Uid"].split()[0] == "65532"
    assert {int(status[c], 16) for c in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert status["NoNewPrivs"].strip() == "1"
