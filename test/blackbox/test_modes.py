"""--mode audit: what the policy refuses passes, and is told; what is malformed does not pass."""

import json
import subprocess

import pytest

from client import build_request, json_request
from h2wire import DATA, call, message, solve
from proxy_process import binary, clean_environment
from recorder import wait_until
from test_audit import of_event, wait_lines
from test_grpc import GREETING, HOST, UPGRADE, Engine, assert_answered, assert_refused
from test_metrics import scrape_until

pytestmark = pytest.mark.threads

PRIVILEGED = json_request("/v1.41/containers/create?name=x",
                          {"Image": "b", "HostConfig": {"Privileged": True}})
EXEC_START = build_request("POST", "/v1.41/exec/abc/start",
                           ["Upgrade: tcp", "Connection: Upgrade",
                            "Content-Type: application/json"], b'{"Detach":false,"Tty":true}')


@pytest.fixture
def audit_log(tmp_path):
    return tmp_path / "audit.jsonl"


def hijack(connection):
    head, _ = connection.read_request()
    if "/start" in head.target or "/attach" in head.target:
        connection.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        while data := connection.read_some():
            connection.send(data)
        connection.close_write()
    else:
        connection.reply(201, b"{}")


def test_what_would_be_refused_passes_unchanged(make_rig, hops, audit_log, tmp_path):
    metrics = f"unix://{tmp_path}/metrics.sock"
    rig = make_rig(hops, "--mode", "audit", "--audit-log", audit_log, "--metrics", metrics,
                   "--workers", "1")
    rig.proxy.wait_log("level=warning event=mode .*--mode audit")
    # Refused by its body, by its head with a body that the engine gets all the same, in pieces
    # too, and by its head alone.
    chunked = (b"POST /v1.41/containers/x/exec HTTP/1.1\r\nHost: d\r\n"
               b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\n{\"A\":\r\n2\r\n1}\r\n0\r\n\r\n")
    requests = [PRIVILEGED, json_request("/v1.41/containers/x/exec", {"Cmd": ["a"] * 9000}),
                chunked, build_request("POST", "/v1.41/swarm/leave", body=b"")]
    with rig.client() as client:
        for request in requests:
            client.send(request)
            assert client.read_response().status == 200
        client.send(requests[0] + requests[1] + requests[0])
        assert [client.read_response().status for _ in range(3)] == [200] * 3
    assert rig.reached() == requests + [requests[0], requests[1], requests[0]]
    records = wait_lines(audit_log, "request", 7)
    assert {r["verdict"] for r in records} == {"would-deny"}
    assert records[0]["rule"] == "create.privileged" and records[0]["status"] == 200
    assert records[0]["mode"] == "audit" and "privileged" in records[0]["reason"]
    rig.proxy.wait_log("level=warning event=request .*verdict=would-deny rule=create.privileged "
                       "status=200")
    scrape = scrape_until(metrics, lambda s: s.requests(verdict="would-deny") == 7, "seven")
    assert scrape['mode{mode="audit"}'] == 1


def test_what_is_malformed_stays_refused(make_rig, audit_log):
    rig = make_rig(("unix", "unix"), "--mode", "audit", "--audit-log", audit_log, "--workers", "1")
    requests = [
        build_request("GET", "/v1.41//info"),
        build_request("GET", "/v1.41/%2e%2e/info"),
        json_request("/v1.41/containers/create", b'{"Image":"a","image":"b"}'),
        # Refused by the policy, and malformed besides.
        build_request("POST", "/v1.41/containers/x/exec",
                      ["Content-Type: application/x-www-form-urlencoded"], b"a=b"),
        build_request("POST", "/v1.41/containers/x/exec",
                      ["Content-Type: application/json", "Content-Type: text/plain"], b"{}"),
    ]
    for request in requests:
        with rig.client() as client:
            client.send(request)
            assert client.read_response().status == 400, request
    rig.assert_nothing_reached()
    assert {r["verdict"] for r in wait_lines(audit_log, "request", 5) if "barrier" not in r["path"]} \
        == {"bad-request"}


def test_a_refused_tunnel_opens_on_the_engine_s_answer(make_rig, hops, audit_log):
    """exec is refused by the policy; its start becomes a tunnel."""
    rig = make_rig(hops, "--mode", "audit", "--audit-log", audit_log, handler=hijack)
    with rig.client() as client:
        client.send(EXEC_START)
        assert client.read_head().status == 101
        client.send(b"hello")
        assert client.read_exactly(5) == b"hello"
        client.close_write()
        assert client.read_all() == b""
    request, = wait_lines(audit_log, "request", 1)
    assert (request["verdict"], request["status"]) == ("would-deny", 101)
    end, = wait_lines(audit_log, "session-end", 1)
    assert end["kind"] == "tunnel" and end["bytes_up"] >= 5


def test_a_route_that_never_hijacks_opens_no_tunnel(make_rig):
    """Whatever the engine says, and although the request was let pass."""
    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    rig = make_rig(("unix", "unix"), "--mode", "audit", handler=handler)
    with rig.client() as client:
        client.send(build_request("POST", "/v1.41/swarm/leave",
                                  ["Upgrade: tcp", "Connection: Upgrade"], b""))
        assert client.read_response().status == 502


def test_calls_inside_grpc(make_rig, hops, audit_log):
    rig = make_rig(hops, "--mode", "audit", "--audit-log", audit_log, "--workers", "1")
    rig.handler = engine = Engine()
    with rig.client() as client:
        client.send(UPGRADE)
        assert client.read_head().status == 101
        client.send(GREETING + solve(1, HOST))
        assert_answered(client, 1)
        assert engine.of(1)[1:] == [(DATA, message(HOST))]
        # Not understood: a compressed message.
        client.send(solve(3, b"")[:-5] + b"\x01\x00\x00\x00\x00")
        assert_refused(client, 3, "grpc.message")
    passed, refused = wait_lines(audit_log, "grpc", 2)
    assert (passed["verdict"], passed["rule"]) == ("would-deny", "buildkit.entitlement")
    assert refused["verdict"] == "bad-request"
    assert passed["request"] == of_event(wait_lines(audit_log, "request", 1), "request")[0]["id"]
    rig.proxy.wait_log("level=warning event=grpc .*verdict=would-deny rule=buildkit.entitlement")
    end, = wait_lines(audit_log, "session-end", 1)
    assert end["kind"] == "grpc" and end["id"] == passed["request"]


def test_refused_routes_of_buildkit(make_rig):
    """As the policy refuses the route, but the calls in it are looked at as ever."""
    rig = make_rig(("unix", "unix"), "--mode", "audit", "--buildkit", "deny")
    rig.handler = Engine()
    with rig.client() as client:
        client.send(UPGRADE)
        assert client.read_head().status == 101
        client.send(GREETING + solve(1, HOST))
        assert_answered(client, 1)
    rig.proxy.wait_log("event=grpc .*verdict=would-deny rule=buildkit.entitlement")


# --- learn ---

TRAFFIC = [
    build_request("GET", "/_ping"),
    build_request("GET", "/v1.41/info"),
    build_request("POST", "/v1.41/images/create?fromImage=alpine&tag=3.19", body=b""),
    json_request("/v1.41/containers/create?name=a",
                 {"Image": "alpine:3.19", "HostConfig": {
                     "Binds": ["/srv/x:/x:ro"], "CapAdd": ["NET_ADMIN"], "NetworkMode": "host"}}),
    json_request("/v1.41/containers/create?name=x",
                 {"Image": "base:1", "HostConfig": {"Privileged": True}}),
    json_request("/v1.41/containers/x/exec", {"Cmd": ["sh", "-c", "true"]}),
    build_request("DELETE", "/v1.41/containers/x?force=1"),
    build_request("POST", "/v1.41/build?networkmode=host&remote=https://x/y.git", body=b""),
]


def learn(make_rig, tmp_path, requests, *options):
    """(rig, the learned policy), after those requests."""
    file = tmp_path / "learned.json"
    rig = make_rig(("unix", "unix"), "--mode", "learn", "--learn-file", file, *options)
    with rig.client() as client:
        for request in requests:
            client.send(request)
            assert client.read_response().status == 200, request
    rig.proxy.stop()
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["learned.json"]
    return rig, json.loads(file.read_text())


def test_what_was_learned_passes_in_a_second_run(make_rig, tmp_path):
    rig, policy = learn(make_rig, tmp_path, TRAFFIC * 2)
    assert rig.reached() == TRAFFIC * 2
    assert policy == {
        "schema": 1, "preset": "allowlist",
        "endpoints": {"only": ["GET /_ping", "GET /info", "POST /images/create",
                               "POST /containers/create", "POST /containers/{name}/exec",
                               "DELETE /containers/{name}", "POST /build"]},
        "create": {"privileged": True, "capabilities": ["NET_ADMIN"],
                   "binds": [{"path": "/srv/x", "read-only": True}], "network-modes": ["host"],
                   "images": policy["create"]["images"]},
        "images": {"pull": policy["images"]["pull"], "push": []},
        "exec": {"commands": [["sh", "-c", "true"]]},
        "build": {"network-host": True, "remote-contexts": True, "add-hosts": False,
                  "outputs": False, "cache-imports": False, "cache-exports": False,
                  "frontends": False}}
    assert len(policy["create"]["images"]) == 2 and len(policy["images"]["pull"]) == 1
    # What only the mode let pass is told louder.
    assert rig.proxy.wait_log("level=warning event=learned key=create.privileged")
    assert rig.proxy.wait_log('level=info event=learned key=endpoints.only value="..GET /info')
    second = make_rig(("unix", "unix"), "--policy-file", tmp_path / "learned.json")
    with second.client() as client:
        for request in TRAFFIC:
            client.send(request)
            assert client.read_response().status == 200, request
        for request in (build_request("GET", "/v1.41/version"),
                        json_request("/v1.41/containers/x/exec", {"Cmd": ["sh"]}),
                        json_request("/v1.41/containers/create", {"Image": "other:1"})):
            client.send(request)
            assert client.read_response().status == 403, request
    assert second.reached() == TRAFFIC


def test_the_file_comes_soon_and_always_whole(make_rig, tmp_path):
    file = tmp_path / "learned.json"
    file.write_text("of old")
    rig = make_rig(("unix", "unix"), "--mode", "learn", "--learn-file", file)
    assert json.loads(file.read_text())["endpoints"]["only"] == []
    with rig.client() as client:
        for number in range(30):
            assert client.request("POST", f"/v1.41/images/create?fromImage=a&tag={number}",
                                  body=b"").status == 200
            json.loads(file.read_text())
    wait_until(lambda: len(json.loads(file.read_text())["images"]["pull"]) == 30, 5, "the file")


def test_what_cannot_be_learned_is_told(make_rig, tmp_path, audit_log):
    driver = json_request("/v1.41/containers/create",
                          {"Image": "base:1", "HostConfig": {"VolumeDriver": "x"}})
    directory = tmp_path / "l"
    directory.mkdir()
    # The log leaves out what is more than a hundred lines a second.
    rig, policy = learn(make_rig, directory, [driver] * 300, "--audit-log", audit_log)
    rig.proxy.wait_log("level=warning event=not-learnable path=/v1.41/containers/create "
                       "rule=create.volume-driver")
    told = [r for r in wait_lines(audit_log, "learned", 1) if r["result"] == "not-learnable"]
    assert [r["path"] for r in told] == ["/v1.41/containers/create"] * 300
    assert policy["endpoints"]["only"] == ["POST /containers/create"]


def test_arguments_of_commands_are_in_no_log(make_rig, tmp_path, audit_log):
    directory = tmp_path / "l"
    directory.mkdir()
    command = ["mysql", "-u", "root", "-phunter2"]
    rig, policy = learn(make_rig, directory, [json_request("/v1.41/containers/x/exec",
                                                           {"Cmd": command})],
                        "--audit-log", audit_log)
    assert policy["exec"]["commands"] == [command]
    assert [r["value"] for r in wait_lines(audit_log, "learned", 2)
            if r["key"] == "exec.commands"] == ['"mysql"']
    assert "hunter2" not in audit_log.read_text() and "hunter2" not in rig.proxy.log()
    assert (directory / "learned.json").stat().st_mode & 0o077 == 0


def test_long_values_are_shortened_in_the_logs(make_rig, tmp_path, audit_log):
    """By whole characters, and not left out; the file has all of them."""
    directory = tmp_path / "l"
    directory.mkdir()
    program, folder = "\u00e9" * 600, "/srv/" + "\u8a9e" * 600
    requests = [json_request("/v1.41/containers/x/exec", {"Cmd": [program, "-v"]}),
                json_request("/v1.41/containers/create",
                             {"Image": "base:1", "HostConfig": {"Binds": [f"{folder}:/x"]}})]
    rig, policy = learn(make_rig, directory, requests, "--audit-log", audit_log)
    assert policy["exec"]["commands"] == [[program, "-v"]]
    assert policy["create"]["binds"] == [folder]
    told = {r["key"]: r for r in wait_lines(audit_log, "learned", 4)}
    for key, beginning in (("exec.commands", f'"{program}'), ("create.binds", folder)):
        value = told[key]["value"].encode("latin-1").decode()
        assert len(value) > 100 and told[key]["dangerous"] == "yes"
        assert beginning.startswith(value[value.index(beginning[:5]):])
        rig.proxy.wait_log(f'event=learned key={key} value=".* message=".*refuses')


def test_calls_inside_grpc_are_learned(make_rig, tmp_path):
    file = tmp_path / "l.json"
    rig = make_rig(("unix", "unix"), "--mode", "learn", "--learn-file", file)

    def build(rig):
        rig.handler = Engine()
        client = rig.client()
        client.send(UPGRADE)
        assert client.read_head().status == 101
        client.send(GREETING + solve(1, HOST) + solve(3, b"\x0a\x01r"))
        return client
    client = build(rig)
    assert_answered(client, 1)
    assert_answered(client, 3)
    client.send(call(5, b"Prune", True))
    assert_answered(client, 5)
    client.close()
    rig.proxy.wait_log("level=warning event=not-learnable call=/moby.buildkit.v1.Control/Prune "
                       "rule=grpc.method")
    rig.proxy.stop()
    policy = json.loads(file.read_text())
    assert [key for key, open in policy["build"].items() if open] == ["network-host"]
    assert policy["endpoints"]["only"] == ["POST /grpc"]
    client = build(make_rig(("unix", "unix"), "--policy-file", file))
    assert_answered(client, 1)
    assert_answered(client, 3)
    client.send(call(5, b"Prune", True))
    assert_refused(client, 5, "grpc.method")


def test_a_file_that_cannot_be_written_is_an_error_at_the_start(tmp_path):
    for options, fault in (
            (["--mode", "learn"], "needs --learn-file"),
            (["--learn-file", "x"], "of use with --mode learn only"),
            (["--mode", "learn", "--learn-file", str(tmp_path / "none/x")], "No such file")):
        result = subprocess.run([binary(), "--listen", f"unix://{tmp_path}/b.sock", *options],
                                capture_output=True, text=True, timeout=20,
                                env=clean_environment())
        assert result.returncode != 0 and fault in result.stderr, result.stderr
