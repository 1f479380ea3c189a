"""--metrics and `dind-proxy status`: what is counted, and that asking for it disturbs nobody."""

import collections
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from client import Client, build_request, json_request
from proxy_process import REPOSITORY, binary, clean_environment, free_port
from recorder import wait_until
from streams import connect_socket

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None

pytestmark = pytest.mark.threads

EVENTS = build_request("GET", "/v1.41/events")
ATTACH = build_request("POST", "/v1.41/containers/x/attach?stream=1&stdin=1&stdout=1",
                       ["Upgrade: tcp", "Connection: Upgrade"], b"")
# What has no bound in number must not be a label's value.
LABELS = {"class", "verdict", "rule", "kind", "part", "path", "hop", "result", "version", "le",
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
        wanted = [f'{name.rstrip("_")}="{value}"' for name, value in labels.items()]
        return sum(value for name, value in self.items() if name.startswith("requests_total{")
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
    types = {"dind_proxy_requests": "counter", "dind_proxy_answer_seconds": "histogram",
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


def test_reloads_are_counted(make_rig, metrics_url):
    rig = make_rig(("unix", "unix"), "--metrics", metrics_url)
    os.kill(rig.proxy.pid, signal.SIGHUP)
    scrape_until(metrics_url, lambda s: s['reloads_total{result="ok"}'] == 1, "a reload")


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
