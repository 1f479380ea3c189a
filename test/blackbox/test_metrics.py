"""--metrics and `dind-proxy status`: what is counted, and that asking for it disturbs nobody."""

import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from client import Client, build_request, json_request
from h2wire import DATA, PING, SETTINGS, call, frame, solve
from proxy_process import REPOSITORY, Proxy, binary, clean_environment, free_port
from recorder import Ended, echo_tunnel, wait_until
from rig import Rig
from streams import connect_socket
from test_grpc import GREETING, HOST, SWITCH, UPGRADE, Engine, answer_to

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None

pytestmark = pytest.mark.threads

EVENTS = build_request("GET", "/v1.41/events")
ATTACH = build_request("POST", "/v1.41/containers/x/attach?stream=1&stdin=1&stdout=1",
                       ["Upgrade: tcp", "Connection: Upgrade"], b"")
# What has no bound in number must not be a label's value.
LABELS = {"class", "method", "verdict", "rule", "kind", "part", "path", "hop", "result", "version", "le",
          "log", "mode"}


@pytest.fixture
def metrics_url(tmp_path):
    return f"unix://{tmp_path}/metrics.sock"


def ask(url, target="/metrics", timeout=10):
    """The raw answer."""
    with connect_socket(url, timeout) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while data := sock.recv(65536):
            answer += data
    return answer


def text(url):
    head, _, body = ask(url).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Content-Type: text/plain; version=0.0.4" in head
    return body.decode()


class Scrape(collections.Counter):
    """Samples by name and labels, as in the text but without the prefix."""

    def __init__(self, url):
        super().__init__()
        for line in text(url).splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                assert name.startswith("dind_proxy_") and name not in self, line
                self[name.removeprefix("dind_proxy_")] = float(value)

    def requests(self, **labels):
        return self._verdicts("requests_total{", labels)

    def calls(self, **labels):
        return self._verdicts("grpc_calls_total{", labels)

    def _verdicts(self, metric, labels):
        wanted = [f'{name.rstrip("_")}="{value}"' for name, value in labels.items()]
        return sum(value for name, value in self.items() if name.startswith(metric)
                   and all(label in name for label in wanted))


def scrape_until(url, condition, what):
    """A scrape for which the condition holds: counters of one request's end may come after what
    its client saw."""
    def holds():
        scrape = Scrape(url)
        return scrape if condition(scrape) else None
    return wait_until(holds, 10, what)


def documented():
    page = (REPOSITORY / "README.md").read_text()
    section = page[page.index("\n## Metrics\n"):page.index("\n## Building\n")]
    cells = re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)", cell)}


def test_the_text_is_what_prometheus_reads(make_rig, metrics_url):
    if text_string_to_metric_families is None:
        pytest.skip("python3-prometheus-client is not installed: the text was read by no other "
                    "program")
    rig = make_rig(("mtls", "mtls"), "--metrics", metrics_url)
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
        assert client.request("POST", "/v1.41/containers/x/exec", ["Content-Type: application/json"],
                              b"{}").status == 403
    said = text(metrics_url)
    families = {family.name: family for family in text_string_to_metric_families(said)}
    types = {"dind_proxy_requests": "counter", "dind_proxy_grpc_calls": "counter",
             "dind_proxy_answer_seconds": "histogram",
             "dind_proxy_open_streams": "gauge", "dind_proxy_relayed_bytes": "counter",
             "dind_proxy_pipes_in_use": "gauge", "dind_proxy_tls_handshakes": "counter",
             "dind_proxy_kernel_tls": "gauge", "dind_proxy_kernel_tls_sessions": "counter",
             "dind_proxy_certificate_expiry_seconds": "gauge", "dind_proxy_engine_up": "gauge",
             "dind_proxy_engine_connections": "counter", "dind_proxy_build_info": "gauge",
             "dind_proxy_client_connections": "gauge", "dind_proxy_reloads": "counter",
             "dind_proxy_mode": "gauge", "dind_proxy_sandbox": "gauge",
             "dind_proxy_log_lines_dropped": "counter",
             "dind_proxy_start_time_seconds": "gauge"}
    assert {name: family.type for name, family in families.items()} == types
    assert documented() == set(re.findall(r"^# TYPE dind_proxy_(\w+) ", said, re.MULTILINE))
    for family in families.values():
        assert family.documentation
        for sample in family.samples:
            assert set(sample.labels) <= LABELS, sample
    buckets = [s for s in families["dind_proxy_answer_seconds"].samples
               if s.name.endswith("_bucket")]
    values = [s.value for s in buckets]
    assert values == sorted(values) and buckets[-1].labels["le"] == "+Inf"
    bounds = [float(s.labels["le"]) for s in buckets]
    assert bounds == sorted(set(bounds))


SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z]+="(?:[^"\\\n]|\\[\\"n])*")*)\})? '
                    r'(-?[0-9]+(?:\.[0-9]+)?)')


def families_of(said):
    """{name: (type, {(suffix, labels): value})} of a text in format 0.0.4, which is held to what that
    says: HELP and TYPE once for each family and in front of it, its samples together and no two
    alike, a newline at the end of each line."""
    families = {}
    assert said.endswith("\n")
    lines = iter(said.removesuffix("\n").split("\n"))
    for line in lines:
        if line.startswith("# HELP "):
            _, _, name, documentation = line.split(" ", 3)
            assert documentation and "\\" not in documentation and name not in families
            kind = next(lines).removeprefix(f"# TYPE {name} ")
            assert kind in ("counter", "gauge", "histogram")
            families[name] = (kind, {})
            continue
        sample, labels, value = SAMPLE.fullmatch(line).groups()
        kind, samples = families[name]
        suffix = sample.removeprefix(name)
        assert sample.startswith(name) and (suffix, labels) not in samples, line
        assert suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",)), line
        samples[suffix, labels] = float(value)
    return families


def test_the_text_keeps_to_the_format(make_rig, metrics_url):
    rig = make_rig(("mtls", "mtls"), "--metrics", metrics_url, handler=Engine())
    client = rig.client()
    client.send(UPGRADE + GREETING + solve(1, HOST) + call(3, b"Info", True))
    assert client.read_head().status == 101
    answer_to(client, 1), answer_to(client, 3)
    for name, (kind, samples) in families_of(text(metrics_url)).items():
        assert samples, name
        assert name.endswith("_total") == (kind == "counter"), name
        if kind != "gauge":
            assert all(value >= 0 for value in samples.values())
        if kind == "histogram":
            buckets = {labels: value for (suffix, labels), value in samples.items()
                       if suffix == "_bucket"}
            assert list(buckets)[-1] == 'le="+Inf"' and ("_sum", None) in samples
            assert buckets['le="+Inf"'] == samples["_count", None] > 0
            bounds = [float(label[4:-1]) for label in buckets]
            assert bounds == sorted(set(bounds))
            assert list(buckets.values()) == sorted(buckets.values())


def test_requests_by_class_verdict_and_rule(make_rig, metrics_url):
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url, "--workers", "3")
    requests = [(build_request("GET", "/v1.41/info"), 200),
                (json_request("/v1.41/containers/x/exec", {}), 403),
                (json_request("/v1.41/containers/create", {"HostConfig": {"Privileged": True}}), 403),
                (build_request("GET", "/v1.41/%2e%2e/info"), 400)]
    for request, status in requests * 5:  # each over several workers
        with rig.client() as client:
            client.send(request)
            assert client.read_response().status == status
    scrape = scrape_until(metrics_url, lambda s: s.requests() == 20, "20 requests")
    assert scrape.requests(verdict="allow", class_="read") == 5
    assert scrape.requests(verdict="deny", rule="create.privileged", class_="danger") == 5
    assert scrape.requests(verdict="deny") == 10
    assert scrape.requests(verdict="bad-request") == 5
    assert scrape["answer_seconds_count"] == 20
    assert scrape["engine_up"] == 1
    assert scrape['engine_connections_total{result="failed"}'] == 0


def test_what_was_not_judged_has_no_time(make_rig, metrics_url):
    """Half a head has no moment that it was complete at, and what is no HTTP no judge."""
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url, "--head-timeout", "300ms")
    for half, status in ((b"GET /v1.41/info HT", 408), (b"\x16\x03\x01", 400)):
        with rig.client() as client:
            client.send(half)
            assert client.read_response().status == status
    scrape = scrape_until(metrics_url, lambda s: s.requests() == 2, "two requests")
    assert scrape.requests(verdict="none", class_="unknown", rule="none") == 1
    assert scrape.requests(verdict="bad-request", class_="unknown", rule="http.head") == 1
    assert scrape["answer_seconds_count"] == 0
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
    scrape_until(metrics_url, lambda s: s["answer_seconds_count"] == 1, "an answer")


def test_a_body_that_breaks_on_its_way(make_rig, metrics_url, tmp_path):
    """The verdict that is counted is that of the audit log, though a part of it was passed on."""
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url, "--audit-log", tmp_path / "audit")
    with rig.client() as client:
        client.send(b"POST /v1.41/images/load HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
        assert client.read_response().status == 400
    scrape = scrape_until(metrics_url, lambda s: s.requests() == 1, "a request")
    assert scrape.requests(verdict="bad-request", rule="http.body", class_="stream") == 1
    line, = wait_until(lambda: [r for r in map(json.loads, (tmp_path / "audit").open())
                                if r["event"] == "request"], 10, "its line")
    assert (line["verdict"], line["rule"]) == ("bad-request", "http.body")


def test_relayed_bytes_are_those_of_the_audit_log(make_rig, hops, metrics_url, tmp_path):
    """Of a stream, a tunnel and the calls inside /grpc."""
    audit = tmp_path / "audit"

    def handler(connection):
        head, _ = connection.read_request()
        if "/grpc" in head.target:
            connection.send(SWITCH + frame(SETTINGS) + frame(DATA, 0, 1, bytes(9000)))
        elif "/attach" in head.target:
            echo_tunnel(connection)
            return
        else:
            connection.reply(200, bytes(200_000))
            return
        while connection.read_some():
            pass
        connection.close_write()
    rig = make_rig(hops, "--metrics", metrics_url, "--audit-log", audit, handler=handler)
    with rig.client() as client:
        assert client.request("GET", "/v1.41/containers/x/logs?stdout=1").status == 200
    for request, said in ((ATTACH, bytes(70_000)),
                          (UPGRADE, GREETING + call(1, b"Status", True) + frame(PING, 0, 0, bytes(8)))):
        with rig.client() as client:
            client.send(request + said)
            client.close_write()
            client.read_all()

    def find_ends():
        return {r["kind"]: r for r in map(json.loads, audit.open()) if r["event"] == "session-end"}
    wait_until(lambda: len(find_ends()) == 3, 10, "three ends")
    ends = find_ends()
    assert set(ends) == {"stream", "tunnel", "grpc"}
    assert ends["grpc"]["bytes_up"] > len(UPGRADE + GREETING) and ends["grpc"]["bytes_down"] > 9000
    scrape = Scrape(metrics_url)
    assert sum(value for name, value in scrape.items() if name.startswith("relayed_bytes_total")) == \
        sum(end["bytes_up"] + end["bytes_down"] for end in ends.values())


def test_labels_do_not_grow_with_what_clients_say(make_rig, metrics_url):
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url, "--workers", "1")
    with rig.client() as client:
        for number in range(10):
            client.request("GET", f"/v1.41/containers/{number}/json")
            client.request("GET", f"/nothing/{number}")
            client.request("DELETE", f"/odd/{number}?{number}={number}", [f"X-{number}: {number}"])
    before = scrape_until(metrics_url, lambda s: s.requests() == 30, "30 requests")
    with rig.client() as client:
        for number in range(100, 200):
            client.request("GET", f"/v1.41/containers/{number}/json")
            client.request("GET", f"/nothing/{number}")
    after = scrape_until(metrics_url, lambda s: s.requests() == 230, "230 requests")
    assert set(after) == set(before)


@pytest.mark.parametrize("mode", ["enforce", "audit", "learn", "opaque"])
def test_calls_inside_grpc(make_rig, metrics_url, tmp_path, mode):
    options = {"enforce": [], "audit": ["--mode", "audit"], "opaque": ["--buildkit", "opaque"],
               "learn": ["--mode", "learn", "--learn-file", tmp_path / "learned.json"]}[mode]
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url, *options, handler=Engine())
    client = rig.client()
    compressed = solve(11, b"")[:-5] + b"\x01\0\0\0\0"
    client.send(UPGRADE + GREETING + solve(1, HOST) + solve(3, b"\x0a\x01r") +
                call(5, b"Info", True) + call(7, b"Odd7", True) + call(9, b"Odd9", True) +
                compressed)
    assert client.read_head().status == 101
    for stream in range(1, 13, 2):
        answer_to(client, stream)
    refused = "deny" if mode == "enforce" else "would-deny"
    scrape = Scrape(metrics_url)
    # The connection is one request, whatever goes on in it.
    assert scrape.requests() == scrape.requests(verdict="allow") == 1
    if mode == "opaque":
        assert scrape.calls() == 0
        return
    solves = {"method": "/moby.buildkit.v1.Control/Solve"}
    assert scrape.calls() == 6
    assert scrape.calls(**solves, verdict=refused, rule="buildkit.entitlement") == 1
    assert scrape.calls(**solves, verdict="allow", rule="grpc.message") == 1
    assert scrape.calls(**solves, verdict="bad-request", rule="grpc.message") == 1
    assert scrape.calls(method="/moby.buildkit.v1.Control/Info", verdict="allow") == 1
    assert scrape.calls(method="unknown", verdict=refused, rule="grpc.unknown") == 2
    result = run("--metrics", metrics_url, "status")
    other = "deny 0 bad-request 1 would-deny 3" if refused != "deny" else "deny 3 bad-request 1"
    assert f"calls in /grpc allow 2 {other}\n" in result.stdout, result.stdout
    assert f"  {refused:12} grpc.unknown (unknown): 2\n" in result.stdout


def test_open_streams_by_kind_and_bytes(make_rig, metrics_url):
    go_on = threading.Event()

    def handler(connection):
        head, _ = connection.read_request()
        if "/events" in head.target:
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            assert go_on.wait(20)
            connection.send(b"0\r\n\r\n")
        elif "/attach" in head.target:
            connection.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            while data := connection.read_some():
                connection.send(data)
            connection.close_write()
        elif "/wait" in head.target:
            assert go_on.wait(20)
            connection.reply()
        else:
            connection.reply(200, bytes(3_000_000))
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url, handler=handler)
    events, attached, waiting = rig.client(), rig.client(), rig.client()
    events.send(EVENTS)
    events.read_head()
    attached.send(ATTACH)
    attached.read_head()
    waiting.send(build_request("POST", "/v1.41/containers/x/wait", body=b""))
    kinds = {f'open_streams{{kind="{kind}"}}' for kind in ("request", "stream", "tunnel")}
    scrape = scrape_until(metrics_url, lambda s: sum(s[k] for k in kinds) == 3, "three open")
    assert scrape['open_streams{kind="tunnel"}'] == 1
    assert scrape['open_streams{kind="stream"}'] >= 1  # wait may count as one
    assert scrape["client_connections"] == 3
    go_on.set()
    assert events.read_chunk()[1] == b"x" and events.read_chunk()[1] == b""
    assert waiting.read_response().status == 200
    attached.close_write()
    assert attached.read_all() == b""
    scrape = scrape_until(metrics_url, lambda s: sum(s[k] for k in kinds) == 0, "none open")
    before = scrape['relayed_bytes_total{path="splice"}']
    with rig.client() as client:
        assert len(client.request("GET", "/v1.41/images/x/get").body) == 3_000_000
    scrape = scrape_until(metrics_url, lambda s: s["pipes_in_use"] == 0, "no pipe in use")
    assert scrape['relayed_bytes_total{path="splice"}'] - before > 2_000_000
    assert scrape['relayed_bytes_total{path="user"}'] > 0


@pytest.mark.ktls
@pytest.mark.parametrize("hops", [("mtls", "mtls")], ids="-".join)
def test_tls_on_both_hops(make_rig, metrics_url, certificates, hops):
    rig = make_rig(hops, "--metrics", metrics_url)
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
    with contextlib.suppress(OSError):
        Client(rig.url, certificates / "stranger").request("GET", "/v1.41/info")
    scrape = scrape_until(
        metrics_url, lambda s: s['tls_handshakes_total{hop="clients",result="failed"}'] >= 1,
        "a failed handshake")
    assert scrape['tls_handshakes_total{hop="clients",result="ok"}'] == 1
    assert scrape['tls_handshakes_total{hop="engine",result="ok"}'] == 1
    for hop in ("clients", "engine"):
        assert 6 * 86400 < scrape[f'certificate_expiry_seconds{{hop="{hop}"}}'] <= 7 * 86400
    kernel = scrape["kernel_tls"]
    assert scrape['kernel_tls_sessions_total{hop="clients"}'] == kernel
    logged = [line for line in rig.proxy.log_lines() if "event=ktls" in line]
    assert kernel == (0 if not logged or "user space" in logged[0] else 1)


def test_the_engine_down_and_back(make_rig, metrics_url):
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url)
    assert "engine_up" not in Scrape(metrics_url)
    rig.recorder.close()
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 503
    scrape = Scrape(metrics_url)
    assert "engine_up" in scrape and scrape["engine_up"] == 0
    assert scrape['engine_connections_total{result="failed"}'] == 1
    rig.recorder.listen()
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
    assert Scrape(metrics_url)["engine_up"] == 1


def test_reloads_and_the_certificates_that_they_bring(make_rig, metrics_url, certificates,
                                                      tmp_path):
    mounted = shutil.copytree(certificates, tmp_path / "mounted")
    rig = Rig(tmp_path, mounted, ("mtls", "mtls"), ["--metrics", metrics_url])
    own = mounted / "proxy"
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=proxy", "-days", "2",
                        "-keyout", own / "key.pem", "-out", own / "cert.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        os.kill(rig.proxy.pid, signal.SIGHUP)
        scrape = scrape_until(metrics_url, lambda s: s['reloads_total{result="ok"}'] == 1,
                              "a reload")
        assert 86400 < scrape['certificate_expiry_seconds{hop="clients"}'] <= 2 * 86400
        assert 6 * 86400 < scrape['certificate_expiry_seconds{hop="engine"}'] <= 7 * 86400
        (own / "cert.pem").write_text("none")
        os.kill(rig.proxy.pid, signal.SIGHUP)
        scrape = scrape_until(metrics_url, lambda s: s['reloads_total{result="failed"}'] == 1,
                              "a reload that failed")
        assert scrape['reloads_total{result="ok"}'] == 1
        assert 86400 < scrape['certificate_expiry_seconds{hop="clients"}'] <= 2 * 86400
    finally:
        rig.close()


def test_pipes_of_readers_that_stall(make_rig, metrics_url):
    def handler(connection):
        connection.read_request()
        with contextlib.suppress(OSError):
            connection.reply(200, bytes(100 << 20))
        raise Ended
    rig = make_rig(("tcp", "tcp"), "--metrics", metrics_url, handler=handler)
    clients = [rig.client() for _ in range(5)]
    for client in clients:
        client.send(build_request("GET", "/v1.41/images/x/get"))
        client.read_head()
    scrape_until(metrics_url, lambda s: s["pipes_in_use"] == 5, "a pipe for each")
    for client in clients:
        client.stream.reset()
    scrape_until(metrics_url, lambda s: s["pipes_in_use"] == s["client_connections"] ==
                 s['open_streams{kind="stream"}'] == 0, "no pipe")


def test_lines_that_nobody_reads_are_counted(tmp_path, metrics_url):
    """Of standard error, a pipe here; the lines that are read later are those that were not lost."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    proxy = Proxy([f"unix://{tmp_path}/a.sock"], f"unix://{tmp_path}/none", [
        "--metrics", metrics_url, "--workers", "1", "--log-level", "warning"], tmp_path / "log",
        prefix=["sh", "-c", f"exec 2>>{fifo}; exec \"$@\"", "sh"])
    try:
        # Each leaves a line about the engine and one of its own.
        for _ in range(3000):
            with Client(f"unix://{tmp_path}/a.sock") as client:
                assert client.request("GET", "/v1.41/info?" + "x" * 500).status == 503
        dropped = scrape_until(metrics_url, lambda s: s.requests() == 3000, "all requests")[
            'log_lines_dropped_total{log="log"}']
        assert 0 < dropped < 6000
        text = b""

        def read():
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                text += os.read(reader, 1 << 20)
            told = sum(map(int, re.findall(rb"(\d+) lines were dropped", text)))
            kept = text.count(b"event=request") + text.count(b"event=engine")
            return (told, kept) == (dropped, 6000 - dropped)
        wait_until(read, 20, "the other lines, and how many were lost")
    finally:
        os.close(reader)
        proxy.stop()


def test_whoever_asks_much_or_slowly_disturbs_nobody(make_rig, metrics_url):
    """Sixty who say nothing, and one who asks without end: requests go on as before, scrapes are
    answered, and both memory and the open files are bounded."""
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url, "--workers", "1")
    silent = [connect_socket(metrics_url) for _ in range(60)]
    stop = threading.Event()
    answered = []

    def flood():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                answered.append(len(ask(metrics_url, timeout=10)))
    flooding = threading.Thread(target=flood)
    files = rig.proxy.open_files()
    flooding.start()
    try:
        end = time.monotonic() + 2.5
        before = len(answered)
        with rig.client() as client:
            while time.monotonic() < end:
                begun = time.monotonic()
                assert client.request("GET", "/v1.41/info").status == 200
                assert time.monotonic() - begun < 2
                assert rig.proxy.open_files() <= files + 16
    finally:
        stop.set()
        flooding.join(20)
    assert not flooding.is_alive()
    # Fifty a second, and the bounds of the seconds do not coincide with ours.
    assert 0 < len(answered) - before <= 4 * 50
    for sock in silent:
        sock.close()
    assert scrape_until(metrics_url, lambda s: s.requests() > 0, "an answer at the end")


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\n\r\n", b"POST /metrics HTTP/1.1\r\n\r\n",
                                      b"\x16\x03\x01\r\n\r\n"], ids=range(3))
def test_there_is_nothing_else(make_rig, metrics_url, request_):
    make_rig(("unix", "unix"), "--metrics", metrics_url)
    with connect_socket(metrics_url) as sock:
        sock.sendall(request_)
        assert sock.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_a_question_without_end_is_cut(make_rig, metrics_url):
    make_rig(("unix", "unix"), "--metrics", metrics_url)
    with connect_socket(metrics_url) as sock, contextlib.suppress(BrokenPipeError,
                                                                  ConnectionResetError):
        sock.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000)
        assert sock.recv(1000) == b""


def run(*words):
    return subprocess.run([binary(), *words], env=clean_environment(), capture_output=True,
                          text=True, timeout=30)


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "192.0.2.1", "example.invalid"])
def test_beyond_loopback_must_be_meant(tmp_path, address):
    url = f"tcp://{address}:9000"
    words = ["--listen", f"unix://{tmp_path}/p.sock", "--metrics", url, "--check-config"]
    result = run(*words)
    assert result.returncode == 2
    assert url in result.stderr and "--metrics-beyond-loopback" in result.stderr
    result = run(*words, "--metrics-beyond-loopback")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("url, why", [
    ("fd://x", "unix:///path or tcp://"), ("tcp://127.0.0.1", "needs a port"),
    ("unix:///x?tls=on", "without TLS")])
def test_what_cannot_serve_metrics(tmp_path, url, why):
    result = run("--listen", f"unix://{tmp_path}/p.sock", "--metrics", url, "--check-config")
    assert result.returncode == 2 and why in result.stderr


def test_the_socket_has_its_mode_and_goes(make_rig, metrics_url, tmp_path):
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url + "?mode=0600")
    path = tmp_path / "metrics.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    rig.proxy.stop()
    assert not path.exists()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_status_for_people(make_rig, metrics_url, kind):
    url = metrics_url if kind == "unix" else f"tcp://127.0.0.1:{free_port()}"
    rig = make_rig(("mtls", "unix"), "--metrics", url)
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
        assert client.request("POST", "/v1.41/containers/x/exec", ["Content-Type: application/json"],
                              b"{}").status == 403
        scrape_until(url, lambda s: s.requests() == 2, "two requests")
        result = run("--metrics", url, "status")
    assert result.returncode == 0, result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["engine"].startswith("up; connections made 1, failed 0")
    assert lines["clients"] == "1 connected"
    assert lines["requests"] == "allow 1 deny 1 bad-request 0"
    assert lines["deny"].endswith(": 1")
    assert lines["answers"].startswith("95% begin within ")
    assert lines["certificate"].startswith("for clients: ends in 6 d ")
    assert "handshakes clients 1, failed 0;" in lines["TLS"]


def test_status_of_what_is_not_there(tmp_path):
    result = run("--metrics", f"unix://{tmp_path}/none.sock", "status")
    assert result.returncode == 1 and "none.sock" in result.stderr
    result = run("status")
    assert result.returncode == 2 and "--metrics" in result.stderr
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen()
        threading.Thread(target=lambda: other.accept()[0].sendall(b"HTTP/1.1 200 OK\r\n\r\nno"),
                         daemon=True).start()
        result = run("--metrics", f"unix://{tmp_path}/other.sock", "--health-timeout", "2s",
                     "status")
    assert result.returncode == 1, result.stdout
