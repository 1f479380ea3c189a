"""One line a request, in both formats, and no secret in any."""

import base64
import json
import shlex

import pytest

from client import build_request, json_request
from proxy_process import Proxy
from recorder import wait_until

SECRET = "hunter2-do-not-log"


def fields(line):
    """A key=value line as a dictionary; every word has a key."""
    return dict(word.split("=", 1) for word in shlex.split(line))


def request_lines(rig, form, count):
    def read():
        lines = rig.proxy.log_lines()
        if form == "json":
            records = [json.loads(line) for line in lines]
        else:
            records = [fields(line) for line in lines]
        found = [r for r in records if r.get("event") == "request"]
        return found if len(found) >= count else None
    return wait_until(read, 5, f"{count} request lines")


@pytest.mark.parametrize("form", ["key-value", "json"])
def test_one_line_a_request(make_rig, hops, form):
    rig = make_rig(hops, "--log-format", form)
    with rig.client() as client:
        assert client.request("GET", "/v1.41/containers/json?all=1").status == 200
        client.send(json_request("/v1.41/containers/create?name=x",
                                 b'{"Image":"b","HostConfig":{"Privileged":true}}'))
        assert client.read_response().status == 403
        client.send(build_request("GET", "/v1.41//info"))
        assert client.read_response().status == 400
    allowed, denied, bad = request_lines(rig, form, 3)
    assert len(request_lines(rig, form, 3)) == 3
    for record in (allowed, denied, bad):
        assert {"time", "level", "event", "client", "method", "path", "verdict", "rule", "status",
                "bytes_up", "bytes_down", "duration_ms"} <= set(record), record
        if rig.down == "mtls":
            assert record["cn"] == "agent"
    assert (allowed["method"], allowed["verdict"], str(allowed["status"])) == ("GET", "allow", "200")
    assert allowed["path"].startswith("/v1.41/containers/json")
    assert (denied["verdict"], str(denied["status"])) == ("deny", "403")
    assert denied["level"] in ("warning", "warn")
    assert (bad["verdict"], str(bad["status"])) == ("bad-request", "400")
    assert int(allowed["bytes_down"]) > 0
    assert int(denied["bytes_up"]) == 0


@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_secret_in_the_log(make_rig, hops, level):
    """Not in headers, bodies, queries, user information or what a malformed request carries."""
    rig = make_rig(hops, "--log-level", level)
    encoded = base64.b64encode(json.dumps({"password": SECRET}).encode()).decode()
    requests = [
        build_request("POST", "/v1.41/images/create?fromImage=x&tag=1",
                      [f"X-Registry-Auth: {encoded}"], b""),
        build_request("POST", "/v1.41/build?t=x&buildargs=" + SECRET,
                      [f"X-Registry-Config: {encoded}", "Content-Type: application/x-tar"], b"tar"),
        build_request("GET", f"/v1.41/containers/json?filters={SECRET}&token={SECRET}"),
        build_request("GET", "/v1.41/info", [f"Authorization: Bearer {SECRET}"]),
        json_request("/v1.41/auth", {"username": "u", "password": SECRET}),
        json_request("/v1.41/containers/create", {"Image": "b", "Env": ["TOKEN=" + SECRET]}),
        json_request("/v1.41/containers/create",
                     {"Image": "b", "Env": ["TOKEN=" + SECRET], "HostConfig": {"Privileged": True}}),
        build_request("POST", f"/v1.41/images/create?fromSrc=http://u:{SECRET}@h/", [], b""),
    ]
    for request in requests:
        with rig.client() as client:
            client.send(request)
            client.read_response()
    with rig.client() as client:
        client.send(f"GET /v1.41/info HTTP/1.1\r\nAuthorization : {SECRET}\r\n\r\n".encode())
        client.read_response()
    request_lines(rig, "key-value", len(requests) + 1)
    log = rig.proxy.log()
    assert SECRET not in log
    assert encoded not in log


@pytest.mark.parametrize("form", ["key-value", "json"])
def test_a_client_cannot_forge_lines(make_rig, form):
    """Control bytes, quotes and line ends in a path stay inside their field."""
    rig = make_rig(("unix", "unix"), "--log-format", form)
    evil = '/v1.41/x"\\%0aevent=request%20verdict=allow%0d{"event":"x"}'
    with rig.client() as client:
        client.send(build_request("GET", evil.replace(" ", "%20")))
        client.read_response()
    with rig.client() as client:
        client.send(b"GET /v1.41/\x1b[31m\xff\xfe HTTP/1.1\r\nHost: d\r\n\r\n")
        client.read_response()
    request_lines(rig, form, 1)
    for line in rig.proxy.log_lines():
        record = json.loads(line) if form == "json" else fields(line)
        assert record["event"] != "x"
        assert line.isprintable() and line.isascii()


def test_a_flood_of_refusals_is_counted(make_rig, hops):
    """Not all have a line, but those of one connection that have none are told in its last one."""
    rig = make_rig(hops)
    refused = build_request("POST", "/v1.41/containers/x/exec", body=b"")
    with rig.client() as client:
        # So many in a row would close the connection.
        for _ in range(5):
            client.send(refused * 60 + build_request("GET", "/v1.41/info"))
            assert [client.read_response().status for _ in range(61)] == [403] * 60 + [200]

    def told():
        lines = [fields(line) for line in rig.proxy.log_lines()]
        return sum((line.get("verdict") == "deny") + int(line.get("suppressed", 0))
                   for line in lines) == 300
    wait_until(told, 10, "all refusals")


def test_log_level_error_is_silent_about_requests(make_rig):
    rig = make_rig(("unix", "unix"), "--log-level", "warning")
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
        client.send(build_request("POST", "/v1.41/containers/x/exec", body=b""))
        assert client.read_response().status == 403
    lines = wait_until(lambda: [line for line in rig.proxy.log_lines() if "event=request" in line],
                       5, "the denial's line")
    assert len(lines) == 1 and "verdict=deny" in lines[0]


@pytest.mark.parametrize("engine,told", [("tcp://192.0.2.1:2375", True),
                                         ("tcp://127.0.0.1:1", False),
                                         ("unix:///no/such/engine.sock", False)])
def test_an_engine_in_plain_tcp_is_told(tmp_path, engine, told):
    proxy = Proxy([f"unix://{tmp_path}/proxy.sock"], engine, log=tmp_path / "proxy.log")
    proxy.wait_log("event=started")
    proxy.stop()
    warnings = [line for line in proxy.log_lines() if "plain TCP" in line]
    assert len(warnings) == told, proxy.log()
    assert all("level=warning event=engine" in line and engine in line for line in warnings)
