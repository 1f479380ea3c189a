"""Ownership between a real proxy and a recorder in the engine's place: what exactly goes up."""

import json
import os
import shutil
import tempfile
import threading
from pathlib import Path

import pytest

from client import assert_refusal, build_request
from proxy_process import Proxy, sanitizer
from recorder import Recorder, wait_until
from tenants import UIDS, client_named, client_of, policy

ID = "0123456789abcdef" * 4
OTHER = "f" * 64
LABEL = '"Labels":{"jailoc.owner":"team-a"}'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming other users takes root")


def container(owner="team-a", **more):
    labels = {"jailoc.owner": owner} if owner else {}
    return {"Id": ID, "Config": {"Labels": labels}, "NetworkSettings": {"Networks": {}}} | more


class Engine:
    """Answers questions from `objects`, by path; all else with 200 and {}."""

    def __init__(self):
        self.objects = {}
        self.then = None

    def __call__(self, connection):
        head, body = connection.read_request()
        answer = self.objects.get(head.target)
        if callable(answer):
            answer(connection)
        elif answer is not None:
            connection.reply(200, json.dumps(answer).encode())
        elif head.method == "GET" and head.target.endswith("/absent/json"):
            connection.reply(404, b'{"message":"No such container: absent"}')
        elif self.then:
            self.then(connection, head, body)
        elif head.method == "HEAD":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        else:
            connection.reply()


class Owned:
    def __init__(self, directory, options=(), **keys):
        self.folder = Path(tempfile.mkdtemp(prefix="dp-owned-"))
        self.folder.chmod(0o711)
        self.engine = Engine()
        self.recorder = Recorder(f"unix://{self.folder}/engine.sock", handler=self.engine)
        file = policy(directory / "policy.json", client_named("team-a", uid=UIDS["a"]), **keys)
        self.url = f"unix://{self.folder}/p.sock"
        self.proxy = Proxy([self.url + "?mode=0666"], self.recorder.url,
                           ["--policy-file", file, *options], directory / "proxy.log")

    def client(self):
        return client_of(self.url, UIDS["a"])

    def close(self):
        self.proxy.stop()
        self.recorder.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def owned(tmp_path):
    made = Owned(tmp_path)
    yield made
    made.close()


def framings(head):
    return [line for line in head.lower().split(b"\r\n")
            if line.startswith((b"content-length:", b"transfer-encoding:"))]


BODY = (b' {"Image":"x:1",\t"Env":["A=\\u0041","B=\xc3\xa9"], "Cmd" : [ "sh" , "-c", "}{\\"" ],\n'
        b'"HostConfig":{"Memory":1e9,"NetworkMode":"default","PortBindings":{"80/tcp":[{}]}},'
        b'"Unknown":[1,2.50,{"x":null}],"ExposedPorts":{"80/tcp":{}} }\r\n')


def chunked(body, size):
    return b"".join(b"%x\r\n%b\r\n" % (len(body[i:i + size]), body[i:i + size])
                    for i in range(0, len(body), size)) + b"0\r\nX-Trailer: y\r\n\r\n"


@pytest.mark.parametrize("form", ("length", "chunked", "continue", "bytewise"))
def test_creation_is_changed_by_its_label_alone(owned, form):
    headers = ["Host: docker", "X-Kept: one,  two", "content-type: application/json",
               "X-Registry-Auth: e30="]
    start = "\r\n".join(["POST /v1.41/containers/create?name=n HTTP/1.1", *headers]).encode()
    with owned.client() as client:
        if form == "chunked":
            client.send(start + b"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n"
                        + chunked(BODY, 7))
        elif form == "bytewise":
            for byte in start + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY:
                client.send(bytes([byte]))
        elif form == "continue":
            client.send(start + b"\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
            assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(BODY)
        else:
            client.send(start + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
        assert client.read_response().status == 200
    (head, body), = owned.recorder.requests()
    at = BODY.index(b'"Image"')
    assert body == BODY[:at] + LABEL.encode() + b"," + BODY[at:]
    assert framings(head) == [b"content-length: %d" % len(body)]
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1.41/containers/create?name=n HTTP/1.1"
    assert lines[1:5] == headers and "trailer" not in head.decode().lower()
    owned.proxy.wait_log("rule=endpoint.container-create status=200")


def test_every_other_field_arrives(owned):
    body = {"Image": "x", "Labels": {"a": "b", "Jailoc.owner": "c"}, "Hostname": "h", "Env": ["A=b"],
            "HostConfig": {"Binds": [], "Memory": 1, "RestartPolicy": {"Name": "always"},
                           "Links": ["db:alias"], "NetworkMode": "net"},
            "NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": ["x"], "NetworkID": "net"}}}}
    owned.engine.objects |= {
        "/containers/db/json": container(),
        "/networks/net": {"Id": OTHER, "Labels": {"jailoc.owner": "team-a"}}}
    with owned.client() as client:
        raw = json.dumps(body).encode()
        assert client.request("POST", "/containers/create", ["Content-Type: application/json"],
                              raw).status == 200
    sent = json.loads(owned.recorder.requests()[-1][1])
    assert sent["Labels"].pop("jailoc.owner") == "team-a"
    assert sent["HostConfig"].pop("Links") == [ID + ":alias"]
    assert sent["NetworkingConfig"]["EndpointsConfig"]["net"].pop("NetworkID") == OTHER
    del body["HostConfig"]["Links"], body["NetworkingConfig"]["EndpointsConfig"]["net"]["NetworkID"]
    assert sent == body


def test_lists_get_their_filter_and_connections_are_kept(owned):
    with owned.client() as client:
        for target, expected in (
                ("/containers/json", "/containers/json?filters="),
                ("/v1.41/networks?filters=%7B%22name%22%3A%5B%22x%22%5D%7D",
                 "/v1.41/networks?filters="),
                ("/volumes?a=b", "/volumes?a=b&filters=")):
            assert client.request("GET", target, ["X-Kept: yes"]).status == 200
            head, _ = owned.recorder.requests()[-1]
            assert head.startswith(b"GET " + expected.encode()) and b"X-Kept: yes\r\n" in head
            assert b"%22label%22%3A%5B%22jailoc.owner%3Dteam-a%22" in head.split(b"\r\n")[0]
        assert_refusal(client.request("GET", "/containers/json?filters=[]"), 400,
                       "ownership.filters")
    assert len(owned.recorder.connections) == 1


def test_own_objects_are_reached_by_id(owned):
    owned.engine.objects["/containers/web/json"] = container()
    with owned.client() as client:
        assert client.request("GET", "/v1.41/containers/web/logs?stdout=1").status == 200
        assert client.request("HEAD", "/containers/web/archive?path=/x").status == 200
        assert client.request("POST", "/containers/web/start", ["Content-Type: text/plain"],
                              b"{}").status == 200
        assert client.request("DELETE", "/containers/web?force=1").status == 200
    lines = [head.split(b"\r\n")[0].decode() for head, _ in owned.recorder.requests()]
    question = "GET /containers/web/json HTTP/1.1"
    assert lines == [question, f"GET /v1.41/containers/{ID}/logs?stdout=1 HTTP/1.1",
                     question, f"HEAD /containers/{ID}/archive?path=/x HTTP/1.1",
                     question, f"POST /containers/{ID}/start HTTP/1.1",
                     question, f"DELETE /containers/{ID}?force=1 HTTP/1.1"]
    assert owned.recorder.requests()[5][1] == b"{}"


@pytest.mark.parametrize("owner", ("team-b", None, "absent"))
@pytest.mark.parametrize("method", ("GET", "HEAD", "DELETE"))
def test_others_get_only_a_question(owned, owner, method):
    name = "absent" if owner == "absent" else "web"
    owned.engine.objects["/containers/web/json"] = container(owner)
    path = f"/containers/{name}" + {"GET": "/json", "HEAD": "/archive?path=/", "DELETE": ""}[method]
    with owned.client() as client:
        for _ in range(2):
            response = client.request(method, path)
            assert response.status == 404
            assert response.body == (b"" if method == "HEAD" else
                                     b'{"message":"No such container: %b"}' % name.encode())
    assert owned.recorder.received() == 2 * build_request("GET", f"/containers/{name}/json")
    rule = "ownership.foreign" if owner != "absent" else "endpoint.container"
    owned.proxy.wait_log(rf"rule={rule}\S* status=404")


def test_what_is_named_often_is_asked_for_once(owned):
    owned.engine.objects["/containers/db/json"] = container()
    with owned.client() as client:
        assert client.request("POST", "/containers/create", ["Content-Type: application/json"],
                              b'{"HostConfig":{"Links":["db:a","db:b"]}}').status == 200
    assert len(owned.recorder.requests()) == 2
    sent = json.loads(owned.recorder.requests()[-1][1])
    assert sent["HostConfig"]["Links"] == [ID + ":a", ID + ":b"]


def test_no_byte_of_a_body_moves_before_the_answer(tmp_path):
    owned = Owned(tmp_path, endpoints={"allow": ["PUT /containers/{name}/archive"]})
    try:
        owned.engine.objects["/containers/web/json"] = container("team-b")
        owned.engine.objects["/containers/own/json"] = container()
        data = os.urandom(300_000)
        with owned.client() as client:
            client.send(build_request("PUT", "/containers/own/archive?path=/", (), data))
            assert client.read_response().status == 200
        assert owned.recorder.requests()[-1][1] == data
        mark = owned.recorder.mark()
        with owned.client() as client:
            client.send(build_request("PUT", "/containers/web/archive?path=/", (), b"tar"))
            assert client.read_response().status == 404
        assert owned.recorder.received(mark) == build_request("GET", "/containers/web/json")
    finally:
        owned.close()


def test_pipelined_requests_keep_their_order(owned):
    owned.engine.objects |= {"/containers/own/json": container(),
                             "/containers/web/json": container("team-b")}
    with owned.client() as client:
        client.send(build_request("POST", "/containers/create", ["Content-Type: application/json"],
                                  b"{}")
                    + build_request("DELETE", "/containers/web")
                    + build_request("DELETE", "/containers/own")
                    + build_request("GET", "/_ping"))
        assert [client.read_response().status for _ in range(4)] == [200, 404, 200, 200]
    lines = [head.split(b" ")[1].decode() for head, _ in owned.recorder.requests()]
    assert lines == ["/containers/create", "/containers/web/json", "/containers/own/json",
                     f"/containers/{ID}", "/_ping"]


def test_attach_is_hijacked_after_the_question(owned):
    owned.engine.objects["/containers/own/json"] = container()

    def hijack(connection, head, body):
        assert head.target == f"/containers/{ID}/attach?stdin=1&stream=1"
        connection.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        connection.send(b"said: " + connection.read_exactly(5))
        connection.close_write()
    owned.engine.then = hijack
    with owned.client() as client:
        client.send(build_request("POST", "/containers/own/attach?stdin=1&stream=1",
                                  ["Connection: Upgrade", "Upgrade: tcp"]))
        assert client.read_head().status == 101
        client.send(b"hello")
        assert client.read_all() == b"said: hello"


def test_tunnels_keep_no_share_of_the_budget_for_judged_bodies(tmp_path):
    """More execs with long bodies than there is room for at a time; others create meanwhile."""
    owned = Owned(tmp_path, ["--workers", "1"], endpoints={"allow": ["POST /exec/{name}/start"]})
    headers = ["Content-Type: application/json"]
    opened = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

    def answer(connection, head, body):
        if head.target.endswith("/start"):
            connection.send(opened)
            connection.read_until(b"never")
        else:
            connection.reply()
    owned.engine.then = answer
    owned.engine.objects |= {f"/exec/{ID}/json": {"ContainerID": ID},
                             f"/containers/{ID}/json": container()}
    clients = []
    try:
        for _ in range(80):
            clients.append(owned.client())
            clients[-1].send(build_request(
                "POST", f"/exec/{ID}/start", [*headers, "Connection: Upgrade", "Upgrade: tcp"],
                b'{"Tty":true%b}' % (b" " * 1_000_000)))
            assert clients[-1].read_head().status == 101
        with owned.client() as client:
            body = b'{"Image":"x"%b}' % (b" " * 100_000)
            assert client.request("POST", "/containers/create", headers, body).status == 200
    finally:
        for client in clients:
            client.close()
        owned.close()


def test_every_copy_of_a_body_counts(tmp_path):
    """Fewer bodies than there were room for, if only one copy of each were held."""
    owned = Owned(tmp_path, ["--workers", "1"])
    go = threading.Event()

    def stall(connection, head, body):
        go.wait(30)
        connection.reply()
    owned.engine.then = stall
    request = build_request("POST", "/containers/create", ["Content-Type: application/json"],
                            b'{"Image":"x"%b}' % (b" " * 1_000_000))
    clients = [owned.client() for _ in range(50)]
    try:
        for client in clients:
            client.send(request)
        owned.proxy.wait_log("status=503")
        with owned.client() as client:  # a small one has room in any case
            client.send(build_request("POST", "/containers/create",
                                      ["Content-Type: application/json"], b'{"Image":"small"}'))
            wait_until(lambda: any(b"small" in body for _, body in owned.recorder.requests()), 10,
                       "the small creation")
        go.set()
        assert [client.read_response().status for client in clients].count(503) >= 10
    finally:
        go.set()
        for client in clients:
            client.close()
        owned.close()


def test_keys_of_an_answer_are_not_kept(owned):
    """Of a container with long labels nothing stays while its log is followed."""
    if sanitizer():
        pytest.skip("memory under a sanitizer says nothing")
    web = container()
    web["Config"]["Labels"] |= {"x" * 45_000 + str(i): "" for i in range(20)}
    owned.engine.objects["/containers/web/json"] = web
    before = owned.proxy.status("VmRSS")
    clients = [owned.client() for _ in range(40)]
    owned.engine.then = lambda connection, head, body: (
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"),
        connection.read_all())
    for client in clients:
        client.send(build_request("GET", "/containers/web/logs?follow=1&stdout=1"))
        assert client.read_head().status == 200
    assert owned.proxy.status("VmRSS") - before < 40 * 200
    for client in clients:
        client.close()


def test_answers_to_questions_share_the_budget_for_judged_bodies(tmp_path):
    """More long answers than there is room for at a time, of an engine that stalls."""
    owned = Owned(tmp_path, ["--workers", "1"])
    text = json.dumps(container() | {"x": "y" * 1_000_000}).encode()
    go = threading.Event()

    def stall(connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text[:-1])
        go.wait(30)
        connection.send(text[-1:])
    owned.engine.objects["/containers/web/json"] = stall
    clients = [owned.client() for _ in range(80)]
    try:
        for client in clients:
            client.send(build_request("GET", "/containers/web/logs"))
        owned.proxy.wait_log("status=503")
        go.set()
        assert {client.read_response().status for client in clients} == {200, 503}
    finally:
        go.set()
        for client in clients:
            client.close()
        owned.close()


def test_volumes_are_made_with_their_label_first(owned):
    made = {"Name": "v", "Labels": {"jailoc.owner": "team-a"}}
    owned.engine.objects["/volumes/create"] = made
    body = b'{"HostConfig":{"Binds":["v:/data"]}}'
    with owned.client() as client:
        headers = ["Content-Type: application/json"]
        assert client.request("POST", "/containers/create", headers, body).status == 200
        owned.engine.objects["/volumes/create"] = made | {"Labels": {"jailoc.owner": "team-b"}}
        response = client.request("POST", "/containers/create", headers, body)
        assert (response.status, response.message()) == (404, "get v: no such volume")
        owned.engine.objects["/volumes/create"] = lambda c: c.reply(
            400, b'{"message":"create v: too short"}')
        response = client.request("POST", "/containers/create", headers, body)
        assert (response.status, response.message()) == (400, "create v: too short")
    targets = [head.split(b" ")[1] for head, _ in owned.recorder.requests()]
    assert targets == [b"/volumes/create", b"/containers/create", b"/volumes/create",
                       b"/volumes/create"]
    assert json.loads(owned.recorder.requests()[0][1]) == {
        "Name": "v", "Driver": "", "DriverOpts": None, "Labels": {"jailoc.owner": "team-a"}}


@pytest.mark.parametrize("answer", (
    b'{"Id":"short","Config":{"Labels":{"jailoc.owner":"team-a"}}}', b"[]", b"",
    b'{"Id":"%b","Config":{"Labels":[]}}' % ID.encode(), b"x" * 2_000_000),
    ids=("short-id", "list", "nothing", "labels-list", "long"))
def test_an_unclear_answer_is_no_consent(owned, answer):
    owned.engine.objects["/containers/web/json"] = lambda c: c.reply(200, answer)
    with owned.client() as client:
        response = client.request("DELETE", "/containers/web")
        assert response.status == 502 and response.message().startswith("dind-proxy: ")
    assert all(b"DELETE" not in head for head, _ in owned.recorder.requests())


def test_what_was_made_of_the_longest_body_is_reached(owned):
    """Its inspection has the command twice; and there is an end to what is read."""
    web = container()
    for length, status in ((1_900_000, 200), (2_200_000, 502)):
        web["Args"] = ["x" * length]
        web["Config"]["Cmd"] = web["Args"]
        owned.engine.objects["/containers/web/json"] = web
        with owned.client() as client:
            assert client.request("DELETE", "/containers/web").status == status


def test_a_silent_engine_is_not_waited_for(tmp_path):
    owned = Owned(tmp_path, ["--connect-timeout", "300ms"])
    try:
        owned.engine.objects["/containers/web/json"] = lambda c: c.read_until(b"never")
        with owned.client() as client:
            assert client.request("DELETE", "/containers/web").status == 504
        with owned.client() as client:
            assert client.request("GET", "/_ping").status == 200
    finally:
        owned.close()


def test_many_questions_share_one_deadline(tmp_path):
    """Each answer comes in time, but not all of them."""
    owned = Owned(tmp_path, ["--connect-timeout", "1s"])
    stop = threading.Event()

    def late(connection):
        stop.wait(0.4)
        connection.reply(200, json.dumps(container()).encode())
    names = [f"c{i}" for i in range(40)]
    owned.engine.objects |= {f"/containers/{name}/json": late for name in names}
    try:
        with owned.client() as client:
            response = client.request("POST", "/containers/create",
                                      ["Content-Type: application/json"],
                                      json.dumps({"HostConfig": {"Links": names}}).encode())
            assert response.status == 504
        assert 1 <= len(owned.recorder.requests()) < len(names)
        with owned.client() as client:
            body = json.dumps({"HostConfig": {"Links": names[:1]}}).encode()
            assert client.request("POST", "/containers/create",
                                  ["Content-Type: application/json"], body).status == 200
    finally:
        stop.set()
        owned.close()


def test_a_stale_connection_is_replaced(owned):
    """The engine closes the kept connection at the very question: it is put once more."""
    calls = []

    def once(connection):
        calls.append(connection)
        if len(calls) == 1:
            connection.close()
        else:
            connection.reply(200, json.dumps(container()).encode())
    owned.engine.objects["/containers/web/json"] = once
    with owned.client() as client:
        assert client.request("GET", "/_ping").status == 200
        assert client.request("DELETE", "/containers/web").status == 200
    assert len(calls) == 2


def test_an_answer_in_chunks(owned):
    def reply(connection):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        text = json.dumps(container()).encode()
        for i in range(0, len(text), 11):
            connection.send(b"%x\r\n%b\r\n" % (len(text[i:i + 11]), text[i:i + 11]))
        connection.send(b"0\r\n\r\n")
    owned.engine.objects["/containers/web/json"] = reply
    with owned.client() as client:
        assert client.request("DELETE", "/containers/web").status == 200
    assert len(owned.recorder.connections) == 1


def test_who_cannot_be_told_is_refused(tmp_path):
    recorder = Recorder(f"unix://{tmp_path}/engine.sock")
    file = policy(tmp_path / "policy.json")
    from proxy_process import free_port
    from client import Client
    url = f"tcp://127.0.0.1:{free_port()}"
    proxy = Proxy([url], recorder.url, ["--policy-file", file], tmp_path / "proxy.log")
    try:
        with Client(url) as client:
            assert_refusal(client.request("GET", "/containers/json"), 403, "ownership.nobody")
        assert recorder.received() == b""
    finally:
        proxy.stop()
        recorder.close()


def test_without_a_name_the_uid_is_the_owner(tmp_path):
    owned = Owned(tmp_path)
    try:
        with client_of(owned.url, 4000009) as client:
            assert client.request("GET", "/networks").status == 200
        assert b"jailoc.owner%3Duid%3A4000009" in owned.recorder.requests()[0][0]
    finally:
        owned.close()


def test_no_mode_opens_what_is_others(tmp_path):
    """What the policy refuses passes in the mode audit, but never past ownership."""
    owned = Owned(tmp_path, ["--mode", "audit"])
    try:
        owned.engine.objects |= {"/containers/own/json": container(),
                                 "/containers/web/json": container("team-b")}
        headers = ["Content-Type: application/json"]
        with owned.client() as client:
            assert client.request("POST", "/containers/own/exec", headers,
                                  b'{"Cmd":["x"]}').status == 200
            assert client.request("POST", "/containers/create", headers,
                                  b'{"HostConfig":{"Privileged":true}}').status == 200
            assert client.request("POST", "/containers/web/exec", headers,
                                  b'{"Cmd":["x"]}').status == 404
        with owned.client() as client:
            assert_refusal(client.request("GET", "/system/df"), 403, "ownership.endpoint")
        with owned.client() as client:
            assert_refusal(client.request("POST", "/containers/create", headers,
                                          b'{"Labels":{"jailoc.owner":"x"}}'), 403,
                           "ownership.label")
        requests = owned.recorder.requests()
        assert [head.split(b" ")[1].decode() for head, _ in requests] == [
            "/containers/own/json", f"/containers/{ID}/exec", "/containers/create",
            "/containers/web/json"]
        assert LABEL.encode() in requests[2][1]
    finally:
        owned.close()
