"""Two tenants of one engine: neither sees nor touches what the other made, by any endpoint."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from client import Client
from docker_engine import IMAGE, Proxied, free_port
from proxy_process import Proxy, clean_environment
from recorder import wait_until
from tenants import UIDS, Authority, client_named, client_of, policy

OPEN = {"preset": "blocklist",
        "endpoints": {"allow": ["POST /containers/{name}/exec", "POST /exec/*",
                                "PUT /containers/{name}/archive",
                                "POST /containers/{name}/update"]},
        "create": {"volumes-from": True}}


class Tenant(Proxied):
    """One of them, with Docker's client and with a plain one."""

    def __init__(self, engine, proxy, url, name, uid=None, certs=None):
        self.engine, self.proxy, self.url, self.name = engine, proxy, url, name
        self.uid, self.certs = uid, certs
        self.config = tempfile.mkdtemp(prefix="dp-config-")
        if uid is not None:
            os.chown(self.config, uid, uid)
        self.environment = clean_environment() | {
            "DOCKER_HOST": url, "DOCKER_CONFIG": self.config, "DOCKER_BUILDKIT": "0",
            "HOME": self.config}
        if certs:
            self.environment |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certs)}

    def docker(self, *arguments, **options):
        if self.uid is not None:
            options |= {"user": self.uid, "group": self.uid, "extra_groups": []}
        return super().docker(*arguments, **options)

    def ask(self, method, path, body=None, headers=()):
        """Status and message (or the whole answer) of one call."""
        client = (Client(self.url, self.certs, 30) if self.certs
                  else client_of(self.url, self.uid, 30))
        with client:
            data = json.dumps(body).encode() if body is not None else b""
            lines = [*headers]
            if body is not None:
                lines += ["Content-Type: application/json"]
            response = client.request(method, path, lines, data if body is not None else None)
            return response.status, response.body


@pytest.fixture(scope="module", params=("uid", "certificate"))
def tenants(request, engine, certificates, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("becoming other users takes root")
    # Other users have to get at the socket, which pytest's folders do not let them.
    folder = Path(tempfile.mkdtemp(prefix="dp-tenants-"))
    folder.chmod(0o711)
    made = tmp_path_factory.mktemp("tenants")
    if request.param == "uid":
        url = f"unix://{folder}/p.sock"
        file = policy(made / "policy.json", client_named("team-a", uid=UIDS["a"]),
                      client_named("team-b", uid=UIDS["b"]), **OPEN)
        proxy = Proxy([url + "?mode=0666"], engine.unix, ["--policy-file", file],
                      made / "proxy.log")
        pair = [Tenant(engine, proxy, url, f"team-{n}", uid=UIDS[n]) for n in "ab"]
    else:
        url = f"tcp://127.0.0.1:{free_port()}"
        server = certificates / "proxy"
        authority = Authority(made / "ca", certificates / "agent/ca.pem")
        file = policy(made / "policy.json",
                      client_named("team-a", common_name="job-a"),
                      client_named("team-b", alt_name="job-b.ci.example"), **OPEN)
        proxy = Proxy([url], engine.unix,
                      ["--policy-file", file, "--tls-cert", server / "cert.pem", "--tls-key",
                       server / "key.pem", "--tls-client-ca", authority.ca], made / "proxy.log")
        pair = [Tenant(engine, proxy, url, "team-a", certs=authority.certificate("a", "/CN=job-a")),
                Tenant(engine, proxy, url, "team-b", certs=authority.certificate(
                    "b", "/CN=other", "DNS:job-b.ci.example"))]
    yield pair
    proxy.stop()
    for tenant in pair:
        shutil.rmtree(tenant.config)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made(tenants, engine):
    """A container that runs, a network and a volume of tenant A, an exec in the container, and a
    container of tenant B."""
    a, b = tenants
    b.docker("run", "-d", "--init", "--name", "bystander", IMAGE, "sleep", "600")
    a.docker("network", "create", "net-a")
    a.docker("volume", "create", "vol-a")
    a.docker("run", "-d", "--init", "--name", "job-a", "--network", "net-a", "-v", "vol-a:/data",
             IMAGE, "sleep", "600")
    status, body = a.ask("POST", "/containers/job-a/exec", {"Cmd": ["true"]})
    assert status == 201, body
    yield {"container": "job-a", "network": "net-a", "volume": "vol-a",
           "exec": json.loads(body)["Id"]}
    engine.docker("rm", "-f", "-v", "job-a", "bystander")
    engine.docker("network", "rm", "net-a")
    engine.docker("volume", "rm", "vol-a")


def inspect(engine, kind, name):
    result = engine.docker(kind, "inspect", name, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)[0]



# --- the owner works as if nobody else were there ---


def test_what_is_made_bears_its_owner(tenants, engine, made):
    for kind, name, labels in (("container", "job-a", lambda o: o["Config"]["Labels"]),
                               ("network", "net-a", lambda o: o["Labels"]),
                               ("volume", "vol-a", lambda o: o["Labels"])):
        assert labels(inspect(engine, kind, name))["jailoc.owner"] == "team-a"


def test_run_attach_logs_commit_rm(tenants):
    for tenant in tenants:
        job = f"work-{tenant.name}"
        assert tenant.docker("run", "--rm", IMAGE, "echo", "hello").stdout == "hello\n"
        assert tenant.docker("run", "--rm", "-i", IMAGE, "cat", input="x\n").stdout == "x\n"
        tenant.docker("run", "-d", "-i", "--name", job, IMAGE, "sh", "-c", "read x; echo got $x; read x")
        identifier = tenant.docker("ps", "-q", "--no-trunc", "-f", f"name={job}").stdout.strip()
        assert len(identifier) == 64
        # Held open: an engine may lose what a container says that ends at once.
        attached = tenant.popen("attach", identifier[:12], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True, user=tenant.uid, group=tenant.uid)
        attached.stdin.write("this\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == "got this\n"
        attached.communicate("end\n", timeout=20)
        assert attached.returncode == 0
        assert tenant.docker("wait", job).stdout == "0\n"
        assert tenant.docker("logs", job).stdout == "got this\n"
        assert tenant.docker("inspect", "-f", "{{.Name}}", job).stdout == f"/{job}\n"
        tenant.docker("rename", job, job + "-2")
        tenant.docker("commit", job + "-2", f"e2e/{job}:1")
        tenant.docker("rm", job + "-2")
        tenant.docker("rmi", f"e2e/{job}:1")


def test_exec(tenants, made):
    a = tenants[0]
    assert a.docker("exec", "job-a", "echo", "in").stdout == "in\n"
    assert a.docker("exec", "-i", "job-a", "cat", input="y\n").stdout == "y\n"
    status, body = a.ask("GET", f"/exec/{made['exec']}/json")
    assert status == 200 and json.loads(body)["ID"] == made["exec"]


def test_top(tenants, made):
    a = tenants[0]
    for arguments in ((), ("aux",), ("-o", "pid,args"), ("-eo", "pid,user", "-o", "args")):
        assert "sleep 600" in a.docker("top", "job-a", *arguments).stdout
    # The engine would look for the container's process ids among the processes' ages.
    result = a.docker("top", "job-a", "-oetimes=PID", "-oargs", "axfe", check=False)
    assert "(container.ps-arguments)" in result.stderr


def test_networks_and_volumes(tenants, engine, made):
    a = tenants[0]
    a.docker("network", "create", "second-a")
    a.docker("network", "connect", "--alias", "me", "second-a", "job-a")
    assert set(inspect(engine, "container", "job-a")["NetworkSettings"]["Networks"]) == {
        "net-a", "second-a"}
    a.docker("network", "disconnect", "second-a", "job-a")
    a.docker("network", "connect", "bridge", "job-a")
    a.docker("network", "disconnect", "bridge", "job-a")
    a.docker("network", "rm", "second-a")
    # A named volume that a bind and a mount make on the way is the client's own.
    a.docker("run", "--rm", "-v", "auto-a:/one", "--mount",
             "type=volume,src=auto-b,dst=/two,volume-label=x=y", IMAGE, "true")
    assert inspect(engine, "volume", "auto-a")["Labels"] == {"jailoc.owner": "team-a"}
    assert inspect(engine, "volume", "auto-b")["Labels"] == {"jailoc.owner": "team-a", "x": "y"}
    assert a.docker("volume", "ls", "-q").stdout.split() == ["auto-a", "auto-b", "vol-a"]
    a.docker("volume", "rm", "auto-a", "auto-b")


def test_joining_other_containers(tenants, made):
    a = tenants[0]
    a.docker("run", "--rm", "--network", "container:job-a", IMAGE, "true")
    a.docker("run", "--rm", "--volumes-from", "job-a:ro", IMAGE, "ls", "/data")
    a.docker("run", "--rm", "--network", "net-a", "--link", "job-a:db", IMAGE, "true")


def test_build(tenants):
    context = Path(tempfile.mkdtemp(prefix="dp-context-"))
    context.chmod(0o755)
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo built\nCOPY Dockerfile /\n")
    try:
        # Its containers would have the labels of the image, and so the owner that somebody gave it.
        result = tenants[1].docker("build", "--no-cache", str(context), check=False)
        assert "(ownership.classic-build)" in result.stderr
        tenants[1].environment["DOCKER_BUILDKIT"] = "1"
        tenants[1].docker("build", "--no-cache", "-t", "e2e/tenant:1", str(context))
        assert tenants[1].docker("run", "--rm", "e2e/tenant:1", "cat", "/Dockerfile").stdout
    finally:
        tenants[1].environment["DOCKER_BUILDKIT"] = "0"
        shutil.rmtree(context)
        tenants[1].docker("rmi", "e2e/tenant:1")


def test_compose(tenants, engine, tmp_path_factory):
    program = "/usr/bin/docker-compose"
    if not os.access(program, os.X_OK):
        pytest.skip("docker-compose is not installed")
    folders = []
    try:
        for tenant in tenants:
            folder = Path(tempfile.mkdtemp(prefix="dp-compose-"))
            folders.append(folder)
            folder.chmod(0o755)
            (folder / "docker-compose.yml").write_text(f"""
version: "3"
services:
  server:
    image: {IMAGE}
    command: ["sh", "-c", "while true; do echo served | nc -l -p 80; done"]
    volumes: ["state:/state"]
  client:
    image: {IMAGE}
    depends_on: [server]
    command: ["sh", "-c", "until nc server 80 </dev/null | grep served; do sleep 0.2; done"]
volumes:
  state: {{}}
""".replace("| grep served", ""))

            def compose(*arguments):
                return tenant.docker("-f", str(folder / "docker-compose.yml"), "-p", tenant.name,
                                     *arguments, client=program)
            compose("up", "-d")
            wait_until(lambda: "served" in compose("logs", "client").stdout, 30, "the answer")
            assert "server" in compose("ps").stdout
        assert "team-b" not in tenants[0].docker("ps", "-a").stdout
        for tenant, folder in zip(tenants, folders):
            tenant.docker("-f", str(folder / "docker-compose.yml"), "-p", tenant.name, "down", "-v",
                          "-t", "1", client=program)
            for kind in ("container", "network", "volume"):
                everything = ["-a"] if kind == "container" else []
                assert tenant.name not in tenant.docker(kind, "ls", *everything).stdout
    finally:
        for folder in folders:
            shutil.rmtree(folder)


# --- and nobody else is ---

ROWS = re.findall(r'\{"([A-Z]+) (/[^"]+)", +OWNERSHIP_([A-Z_]+)\}',
                  (Path(__file__).resolve().parents[2] / "filter/ownership_rows.c").read_text())
KINDS = {"CONTAINER": "container", "CONTAINER_START": "container", "NETWORK": "network",
         "NETWORK_MEMBER": "network", "VOLUME": "volume", "EXEC": "exec"}
BODIES = {"POST /exec/{name}/start": {}, "POST /containers/{name}/exec": {"Cmd": ["true"]},
          "POST /containers/{name}/update": {"Memory": 1 << 24},
          "POST /networks/{name}/connect": {"Container": "bystander"},
          "POST /networks/{name}/disconnect": {"Container": "bystander"}}


def test_rows_are_read():
    assert len(ROWS) > 100 and sum(scope in KINDS for *_, scope in ROWS) > 30


def call(tenant, method, path, name):
    route = f"{method} {path}"
    target = path.replace("{name}", name)
    if route == "POST /containers/{name}/rename":
        target += "?name=renamed"
    if path.endswith("/archive"):
        target += "?path=/"
    status, body = tenant.ask(method, target, BODIES.get(route))
    return status, body.replace(name.encode(), b"NAME")


@pytest.mark.parametrize("method,path,scope", [r for r in ROWS if r[2] in KINDS])
def test_an_others_object_is_as_one_that_does_not_exist(tenants, engine, made, method, path, scope):
    a, b = tenants
    kind = KINDS[scope]
    absent = call(b, method, path, "absent")
    names = [made[kind]]
    if kind in ("container", "network"):
        identifier = inspect(engine, kind, made[kind])["Id"]
        names += [identifier, identifier[:12]]
    for name in names:
        assert call(b, method, path, name) == absent, name
    # The one call that no policy opens.
    assert absent[0] == (403 if path.endswith("/copy") else 404)
    # Nothing has happened to them, and the owner still gets at them.
    assert inspect(engine, "container", "job-a")["State"]["Status"] == "running"
    assert inspect(engine, "network", "net-a") and inspect(engine, "volume", "vol-a")
    assert set(inspect(engine, "container", "bystander")["NetworkSettings"]["Networks"]) == {
        "bridge"}
    if method == "GET" and path.endswith("/json"):
        assert call(a, method, path, made[kind])[0] == 200


def test_built_in_networks_show_nobody(tenants, engine):
    for tenant in tenants:
        for name in ("bridge", "host", "none", inspect(engine, "network", "bridge")["Id"]):
            status, body = tenant.ask("GET", f"/networks/{name}")
            assert status == 404 and b"not found" in body


def test_unmarked_objects_are_nobodys(tenants, engine):
    engine.docker("run", "-d", "--name", "operators", IMAGE, "sleep", "60")
    try:
        for tenant in tenants:
            assert "operators" not in tenant.docker("ps", "-a").stdout
            assert tenant.ask("GET", "/containers/operators/json")[0] == 404
            assert tenant.ask("DELETE", "/containers/operators?force=1")[0] == 404
    finally:
        engine.docker("rm", "-f", "operators")


@pytest.mark.parametrize("host_config,missing", [
    ({"NetworkMode": "net-a"}, "net-a"), ({"NetworkMode": "container:job-a"}, "job-a"),
    ({"VolumesFrom": ["job-a"]}, "job-a"), ({"VolumesFrom": ["job-a:ro"]}, "job-a"),
    ({"Links": ["job-a:x"]}, "job-a"), ({"Binds": ["vol-a:/x"]}, None),
    ({"Mounts": [{"Type": "volume", "Source": "vol-a", "Target": "/x"}]}, None)])
def test_creation_names_no_other_s(tenants, engine, made, host_config, missing):
    b = tenants[1]
    path = "/containers/create?name=grab"
    answer = b.ask("POST", path, {"Image": IMAGE, "HostConfig": host_config})
    assert answer[0] == 404, answer
    if missing:
        absent = json.loads(json.dumps(host_config).replace(missing, "absent"))
        other = b.ask("POST", path, {"Image": IMAGE, "HostConfig": absent})
        assert (other[0], other[1].replace(b"absent", missing.encode())) == answer
    assert engine.docker("inspect", "grab").returncode != 0


def test_creation_joins_no_other_s_network_by_id(tenants, engine, made):
    b = tenants[1]
    identifier = inspect(engine, "network", "net-a")["Id"]
    for config in ({"net-a": {}}, {identifier: {}}, {"bridge": {"NetworkID": identifier}}):
        status, _ = b.ask("POST", "/containers/create?name=grab", {
            "Image": IMAGE, "NetworkingConfig": {"EndpointsConfig": config}})
        assert status == 404
    assert engine.docker("inspect", "grab").returncode != 0


def test_connecting_names_no_other_s(tenants, engine, made):
    b = tenants[1]
    identifier = inspect(engine, "network", "net-a")["Id"]
    b.docker("network", "create", "net-b")
    b.docker("create", "--name", "mine", IMAGE, "true")
    try:
        for path, body in (("/networks/net-b/connect", {"Container": "job-a"}),
                           ("/networks/bridge/connect", {"Container": "job-a"}),
                           ("/networks/net-b/disconnect", {"Container": "job-a"}),
                           ("/networks/net-a/connect", {"Container": "mine"}),
                           ("/networks/net-b/connect", {"Container": "mine", "EndpointConfig": {
                               "NetworkID": identifier}})):
            status, body = b.ask("POST", path, body)
            assert status == 404, body
        assert set(inspect(engine, "container", "job-a")["NetworkSettings"]["Networks"]) == {
            "net-a"}
    finally:
        b.docker("rm", "mine")
        b.docker("network", "rm", "net-b")


def test_a_network_that_changed_hands_is_not_joined(tenants, engine):
    """The engine looks a network's name up when the container starts."""
    a, b = tenants
    b.docker("network", "create", "passed-on")
    b.docker("create", "--name", "sleeper", "--network", "passed-on", IMAGE, "sleep", "60")
    b.docker("network", "rm", "passed-on")
    a.docker("network", "create", "passed-on")
    try:
        assert b.ask("POST", "/containers/sleeper/start")[0] == 404
        assert b.ask("POST", "/containers/sleeper/restart")[0] == 404
        assert not inspect(engine, "network", "passed-on")["Containers"]
    finally:
        b.docker("rm", "-f", "sleeper")
        a.docker("network", "rm", "passed-on")


def test_lists_show_only_own(tenants, made):
    a, b = tenants
    for path in ("/containers/json?all=1", "/networks", "/volumes"):
        found = [t.ask("GET", path)[1] for t in tenants]
        assert b"-a" in found[0] and b"-a" not in found[1], found[1]
    for filters in ('{"name":["job-a"]}', '{"label":["jailoc.owner=team-a"]}',
                    '{"label":{"jailoc.owner=team-a":true}}', '{"name":{"job":true}}', "{}"):
        status, body = b.ask("GET", f"/containers/json?all=1&filters={filters.replace(chr(34), '%22')}")
        assert status == 200
        assert [c["Names"] for c in json.loads(body)] in ([], [["/bystander"]])
    before = [b.ask("GET", f"/containers/json?filters=%7B%22{key}%22:[%22{name}%22]%7D")
              for key in ("before", "since") for name in ("job-a", "absent")]
    assert before[0] == (404, before[1][1].replace(b"absent", b"job-a")) and before[1][0] == 404
    assert before[2] == (404, before[3][1].replace(b"absent", b"job-a")) and before[3][0] == 404


def test_events_tell_of_own_alone(tenants, made):
    a, b = tenants
    since = int(time.time()) - 1
    a.docker("run", "--rm", "--name", "heard-a", IMAGE, "true")
    b.docker("run", "--rm", "--name", "heard-b", IMAGE, "true")
    until = int(time.time()) + 1
    for tenant, own, other in ((a, b"heard-a", b"heard-b"), (b, b"heard-b", b"heard-a")):
        status, body = tenant.ask("GET", f"/events?since={since}&until={until}")
        assert status == 200 and own in body and other not in body
        status, body = tenant.ask(
            "GET", f"/events?since={since}&until={until}&filters=%7B%22type%22%3A%5B%22container%22%5D%7D")
        assert status == 200 and own in body and other not in body


def test_prune_removes_only_own(tenants, engine):
    for tenant in tenants:
        letter = tenant.name[-1]
        tenant.docker("create", "--name", f"waste-{letter}", IMAGE, "true")
        tenant.docker("network", "create", f"waste-{letter}")
        tenant.docker("volume", "create", f"waste-{letter}")
    engine.docker("volume", "create", "waste-operator")
    try:
        b = tenants[1]
        for kind in ("container", "network", "volume"):
            b.docker(kind, "prune", "-f")
            left = engine.docker(kind, "ls", *(["-a"] if kind == "container" else []),
                                 text=True).stdout
            assert "waste-a" in left and "waste-b" not in left
        assert "waste-operator" in left
    finally:
        for kind in ("container", "network", "volume"):
            engine.docker(kind, "rm", "waste-a", "waste-b", "waste-operator")


def test_a_volume_that_is_anothers_is_not_given_out(tenants, made):
    status, body = tenants[1].ask("POST", "/volumes/create", {"Name": "vol-a"})
    assert status == 404 and b"Mountpoint" not in body
    assert tenants[0].ask("POST", "/volumes/create", {"Name": "vol-a"})[0] == 201
    status, body = tenants[1].ask("POST", "/volumes/create", {})
    assert status == 201
    tenants[1].docker("volume", "rm", json.loads(body)["Name"])


def test_the_label_is_the_proxys(tenants):
    forged = {"jailoc.owner": "team-a"}
    b = tenants[1]
    for path, body in (("/containers/create", {"Image": IMAGE, "Labels": forged}),
                       ("/networks/create", {"Name": "forged", "Labels": forged}),
                       ("/volumes/create", {"Name": "forged", "Labels": forged}),
                       ("/containers/create", {"Image": IMAGE, "HostConfig": {"Mounts": [
                           {"Type": "volume", "Target": "/x", "VolumeOptions": {
                               "Labels": forged}}]}})):
        status, answer = b.ask("POST", path, body)
        assert status == 403 and b"ownership.label" in answer, answer


def test_what_would_show_others_is_refused(tenants):
    for method, path in (("GET", "/system/df"), ("GET", "/plugins"), ("GET", "/nodes"),
                         ("GET", "/debug/vars"), ("GET", "/unheard-of"),
                         ("GET", "/containers/x/checkpoints")):
        assert tenants[0].ask(method, path)[0] == 403, path


def test_the_second_tenant_still_works_after_all_that(tenants):
    assert tenants[1].docker("run", "--rm", IMAGE, "echo", "fine").stdout == "fine\n"
