"""--audit-log: what it says of requests, calls and streams, and that whoever does not read it stops
nobody."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import threading
import time

import pytest

from client import build_request, json_request
from proxy_process import Proxy, binary, clean_environment
from recorder import Ended, echo_tunnel, wait_until
from test_metrics import ATTACH, Scrape

pytestmark = pytest.mark.threads

SECRET = "hunter2-do-not-log"
PRIVILEGED = json_request("/v1.41/containers/create?name=x",
                          {"Image": "b", "HostConfig": {"Privileged": True}})


def read_lines(text):
    """The lines, each checked for what all have."""
    records = [json.loads(line) for line in text.splitlines()]
    for record in records:
        assert list(record)[:4] == ["schema", "time", "event", "mode"], record
        assert record["schema"] == 1
    return records


def lines(path):
    text = path.read_text()
    assert text == "" or text.endswith("\n")
    return read_lines(text)


def of_event(records, event):
    return [record for record in records if record["event"] == event]


def wait_lines(path, event, count):
    def find():
        found = of_event(lines(path), event)
        return found if len(found) >= count else None
    return wait_until(find, 10, f"{count} lines of {event}")


@pytest.fixture
def audit_log(tmp_path):
    return tmp_path / "audit.jsonl"


def test_one_line_a_request(make_rig, hops, audit_log):
    rig = make_rig(hops, "--audit-log", audit_log)
    with rig.client() as client:
        assert client.request("GET", f"/v1.41/containers/json?all=1&filters={SECRET}",
                              [f"X-Registry-Auth: {SECRET}"]).status == 200
        client.send(PRIVILEGED)
        assert client.read_response().status == 403
        client.send(build_request("GET", f"/v1.41//info?x={SECRET}"))
        assert client.read_response().status == 400
    rig.proxy.stop()
    records = lines(audit_log)
    assert [r["event"] for r in records] == ["start", "request", "request", "request", "stop"]
    allowed, denied, bad = of_event(records, "request")
    assert (allowed["verdict"], allowed["status"], allowed["class"], allowed["endpoint"]) == \
        ("allow", 200, "read", "GET /containers/json")
    assert allowed["path"] == "/v1.41/containers/json?all=1&filters=*"
    assert (denied["verdict"], denied["status"], denied["rule"]) == \
        ("deny", 403, "create.privileged")
    assert "privileged" in denied["reason"] and denied["mode"] == "enforce"
    assert (bad["verdict"], bad["status"], bad["method"]) == ("bad-request", 400, "GET")
    assert len({r["id"] for r in (allowed, denied, bad)}) == 3
    for record in (allowed, denied, bad):
        if rig.down == "mtls":
            assert record["cn"] == "agent"
        if rig.down == "unix":
            assert record["uid"] == os.getuid()
        assert record["client"]
    assert SECRET not in audit_log.read_text()
    assert stat.S_IMODE(audit_log.stat().st_mode) & 0o137 == 0


def test_the_end_of_every_stream(make_rig, audit_log):
    def handler(connection):
        head, _ = connection.read_request()
        if "/attach" in head.target:
            echo_tunnel(connection)
        else:
            connection.reply(200, b"x" * 1000)
    rig = make_rig(("unix", "unix"), "--audit-log", audit_log, "--drain-timeout", "1s",
                   handler=handler)
    with rig.client() as client:
        client.send(ATTACH)
        client.read_head()
        # The answer's line is there while the stream goes on.
        request, = wait_lines(audit_log, "request", 1)
        assert (request["status"], request["verdict"]) == (101, "allow")
        assert not of_event(lines(audit_log), "session-end")
        client.send(b"y" * 5000)
        client.close_write()
        assert client.read_all() == b"y" * 5000
    end, = wait_lines(audit_log, "session-end", 1)
    assert (end["kind"], end["id"], end["outcome"]) == ("tunnel", request["id"], "ended")
    assert end["bytes_up"] >= 5000 and end["bytes_down"] >= 5000 and end["duration_ms"] >= 0
    with rig.client() as client:
        assert client.request("GET", "/v1.41/containers/x/logs?stdout=1").status == 200
        assert client.request("GET", "/v1.41/info").status == 200
    ends = wait_lines(audit_log, "session-end", 2)
    assert ends[1]["kind"] == "stream" and ends[1]["endpoint"] == "GET /containers/{name}/logs"
    assert ends[1]["bytes_down"] >= 1000
    with rig.client() as client:
        client.send(ATTACH)
        client.read_head()
        rig.proxy.stop()
    end = of_event(lines(audit_log), "session-end")[2]
    assert end["outcome"] == "shut down"


@pytest.mark.parametrize("begun", [True, False], ids=["answered", "unanswered"])
@pytest.mark.parametrize("who", ["client", "engine"])
def test_who_cut_a_stream(make_rig, hops, audit_log, begun, who):
    """The engine does not end its answer: because the client has closed, or of itself."""
    leave = threading.Event()

    def handler(connection):
        connection.read_request()
        if begun:
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        if who == "client":
            assert connection.read_some() == b""
        else:
            assert leave.wait(10)
        connection.close()
        raise Ended
    rig = make_rig(hops, "--audit-log", audit_log, handler=handler)
    client = rig.client()
    client.send(build_request("GET", "/v1.41/containers/x/logs?stdout=1&follow=1"))
    if begun:
        client.read_head()
        assert client.read_chunk()[1] == b"x"
    else:
        wait_until(rig.reached, 10, "the request")
    if who == "client":
        client.close()
    leave.set()
    end, = wait_lines(audit_log, "session-end", 1)
    assert end["outcome"] == ("client closed" if who == "client" else "engine failed")


def test_a_request_that_is_sent_once_more_has_its_bytes_once(make_rig, hops, audit_log):
    """The engine closes the kept connection at the very request."""
    def handler(connection):
        connection.read_request()
        if len(connection.requests) > 1:
            connection.close()
            raise Ended
        connection.reply()
    rig = make_rig(hops, "--audit-log", audit_log, "--workers", "1", handler=handler)
    with rig.client() as client:
        for _ in range(2):
            assert client.request("GET", "/v1.41/containers/x/logs?stdout=1").status == 200
    once, again = wait_lines(audit_log, "session-end", 2)
    assert len(rig.reached()) == 3
    assert once["bytes_up"] == again["bytes_up"] == len(rig.reached()[0])


def test_it_is_opened_anew_at_a_reload(make_rig, audit_log, tmp_path):
    rig = make_rig(("unix", "unix"), "--audit-log", audit_log)
    moved = tmp_path / "audit.1"
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
        wait_lines(audit_log, "request", 1)
        audit_log.rename(moved)
        os.kill(rig.proxy.pid, signal.SIGHUP)
        wait_until(audit_log.exists, 10, "a new file")
        assert client.request("GET", "/v1.41/version").status == 200
        wait_lines(audit_log, "request", 1)
    wait_until(lambda: "reload" in {r["event"] for r in lines(audit_log) + lines(moved)}, 20,
               "the line about the reload, which follows the new file")
    assert len(of_event(lines(moved), "request")) == 1
    # Where it cannot be opened it goes on where it was, and the other log says why.
    audit_log.rename(tmp_path / "audit.2")
    audit_log.symlink_to(tmp_path / "elsewhere")
    os.kill(rig.proxy.pid, signal.SIGHUP)
    rig.proxy.wait_log(r"event=audit .*goes on where it was.*symbolic link")
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
    wait_lines(tmp_path / "audit.2", "request", 2)
    assert not (tmp_path / "elsewhere").exists()


def run_requests(rig, count):
    """So many requests, none of which may take long; the longest time that one took."""
    longest = 0
    with rig.client() as client:
        for _ in range(count):
            begun = time.monotonic()
            assert client.request("GET", "/v1.41/info?" + "x" * 900).status == 200
            longest = max(longest, time.monotonic() - begun)
    return longest


def test_a_reader_that_stalls_stops_nobody(make_rig, tmp_path):
    """A FIFO that nobody reads: requests go on, lost lines are counted and told in the next line."""
    fifo, metrics = tmp_path / "fifo", f"unix://{tmp_path}/metrics.sock"
    os.mkfifo(fifo)
    rig = make_rig(("unix", "unix"), "--audit-log", fifo, "--metrics", metrics, "--workers", "1",
                   "--log-level", "warning")
    assert run_requests(rig, 1000) < 2
    dropped = Scrape(metrics)['log_lines_dropped_total{log="audit"}']
    assert dropped > 0
    with open(fifo, "rb") as reader:
        os.set_blocking(reader.fileno(), False)
        text = b""

        def read():
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                while data := os.read(reader.fileno(), 65536):
                    text += data
            return text.count(b"\n") >= 1000 - dropped + 1
        wait_until(read, 10, "all lines that were kept")
        with rig.client() as client:
            assert client.request("GET", "/v1.41/version").status == 200
        wait_until(lambda: read() and b"/version" in text, 10, "the line of a later request")
    records = read_lines(text.decode())
    told = [r["dropped"] for r in records if "dropped" in r]
    assert sum(told) == dropped
    assert len(of_event(records, "request")) == 1001 - dropped


def test_it_ends_although_nobody_reads(make_rig, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    rig = make_rig(("unix", "unix"), "--audit-log", fifo)
    run_requests(rig, 300)
    begun = time.monotonic()
    rig.proxy.stop()
    assert time.monotonic() - begun < 5
    assert "could not be written" in rig.proxy.log()


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk]
    if os.getuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here (root with CAP_SYS_ADMIN): a full disk "
                    "was not tested")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_stops_nobody(make_rig, small_disk, tmp_path):
    """What does not fit in the rings is lost, and told once there is room; no line is torn."""
    log, metrics = small_disk / "audit.jsonl", f"unix://{tmp_path}/metrics.sock"
    rig = make_rig(("unix", "unix"), "--audit-log", log, "--metrics", metrics, "--workers", "1")
    try:
        assert run_requests(rig, 1500) < 2
        rig.proxy.wait_log("level=error event=audit .*No space left on device")
        dropped = Scrape(metrics)['log_lines_dropped_total{log="audit"}']
        assert dropped > 0
        subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
        rig.proxy.wait_log("event=audit .*can be written again")
        with rig.client() as client:
            assert client.request("GET", "/v1.41/version").status == 200
        wait_until(lambda: "/version" in log.read_text(), 10, "a later line")
        records = lines(log)
        assert sum(r.get("dropped", 0) for r in records) == dropped
        assert len(of_event(records, "request")) == 1501 - dropped
    finally:
        rig.proxy.stop()


def test_a_file_that_may_not_grow_stops_nobody(make_rig, tmp_path):
    """RLIMIT_FSIZE, which ends whoever does not ask otherwise."""
    rig = make_rig(("unix", "unix"), "--audit-log", tmp_path / "audit.jsonl", "--workers", "1",
                   "--log-level", "warning", prefix=["prlimit", "--fsize=65536"])
    assert run_requests(rig, 1500) < 2
    rig.proxy.wait_log("level=error event=audit .*File too large")
    with rig.client() as client:
        assert client.request("GET", "/v1.41/version").status == 200


def test_descriptors(make_rig, tmp_path):
    """fd:N, stdout and stderr; one that is not there, or not for writing, is an error."""
    with open(tmp_path / "passed", "wb") as file:
        proxy = Proxy([f"unix://{tmp_path}/a.sock"], "unix:///nowhere",
                      ["--audit-log", "fd:9"], tmp_path / "log",
                      prefix=["sh", "-c", f"exec 9>>{file.name}; exec \"$@\"", "sh"])
        proxy.stop()
    assert [r["event"] for r in lines(tmp_path / "passed")] == ["start", "stop"]
    for word in ("stdout", "stderr"):
        proxy = Proxy([f"unix://{tmp_path}/a.sock"], "unix:///nowhere", ["--audit-log", word],
                      tmp_path / "log")
        proxy.stop()
        assert len([x for x in proxy.log_lines() if x.startswith('{"schema":1')]) == 2
    for target, fault in (("fd:77", "Bad file descriptor"), ("fd:0", "not open for writing"),
                          (tmp_path / "none/audit", "No such file"), (tmp_path, "directory")):
        with open("/dev/null", "rb") as standard_input:
            result = subprocess.run([binary(), "--listen", f"unix://{tmp_path}/b.sock",
                                     "--audit-log", str(target)], stdin=standard_input,
                                    capture_output=True, text=True, timeout=20,
                                    env=clean_environment())
        assert result.returncode != 0 and f"--audit-log {target}: " in result.stderr
        assert fault in result.stderr, result.stderr


def test_lines_for_the_journal_begin_with_their_priority(tmp_path):
    """As systemd sets JOURNAL_STREAM when standard error is the journal's socket."""
    log = tmp_path / "log"
    log.touch()
    status = log.stat()

    def run(stream):
        proxy = Proxy([f"unix://{tmp_path}/a.sock"], "unix:///nowhere", ["--audit-log", "stderr"],
                      log, environment={"JOURNAL_STREAM": stream})
        proxy.stop()
        return proxy.log_lines()
    marked = run(f"{status.st_dev}:{status.st_ino}")
    assert all(line[:3] in ("<6>", "<4>") for line in marked), marked
    assert sum(line.startswith('<6>{"schema":1') for line in marked) == 2
    assert any(line.startswith("<6>time=") for line in marked)
    for other in (f"{status.st_dev}:{status.st_ino + 1}", "nonsense", "8:1:2"):
        assert not any(line.startswith("<") for line in run(other))
