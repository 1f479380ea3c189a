"""Metrics and audit log tell the same of a real engine's ordinary traffic."""

import collections
import json
import re
import signal
import subprocess

import pytest

from docker_engine import IMAGE
from proxy_process import binary
from recorder import wait_until
from test_builds import buildx, context  # noqa: F401
from test_metrics import Scrape
from test_modes import start  # noqa: F401

STREAMS = ("stream", "hijack")  # the classes of which each exchange leaves a session-end


@pytest.fixture
def metrics(tmp_path):
    return f"unix://{tmp_path}/metrics.sock"


@pytest.fixture
def audit_log(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def proxied(start, metrics, audit_log):  # noqa: F811
    return start("counted", "--metrics", metrics, "--audit-log", audit_log)


def counted(scrape, metric, label):
    expression = re.compile(rf'{metric}{{{label}="(.*)",verdict="(.*)",rule="(.*)"}}')
    return {found.groups(): value for name, value in scrape.items()
            if (found := expression.fullmatch(name))}


def logged(records, event, field):
    return collections.Counter((r[field], r["verdict"], r.get("rule", "none"))
                               for r in records if r["event"] == event)


def test_metrics_are_the_audit_log_s(proxied, buildx, context, metrics, audit_log,  # noqa: F811
                                     tmp_path):
    name = f"counted-{proxied.kind}"
    try:
        proxied.docker("run", "--rm", "-i", IMAGE, "cat", input="x" * 300_000)
        proxied.docker("run", "-d", "--name", name, IMAGE, "sh", "-c", "echo out; sleep 1000")
        for refused in (["run", "--rm", "--privileged", IMAGE, "true"], ["exec", name, "true"]):
            assert proxied.docker(*refused, check=False).returncode != 0
        followed = proxied.popen("logs", "-f", name, stdout=subprocess.PIPE)
        assert followed.stdout.readline() == b"out\n"
        attached = proxied.popen("attach", "--sig-proxy=false", name, stdout=subprocess.DEVNULL)
        wait_until(lambda: Scrape(metrics)['open_streams{kind="tunnel"}'] == 1, 10, "the tunnel")
        assert Scrape(metrics)['open_streams{kind="stream"}'] >= 1
        for left in (followed, attached):
            left.send_signal(signal.SIGINT)
            left.wait(20)
        followed.stdout.close()
        proxied.docker("save", "-o", str(tmp_path / "saved"), IMAGE)
        result = buildx("-t", name, context)
        assert result.returncode == 0, result.stderr
        assert buildx("--allow", "network.host", "--network", "host",
                      context).returncode != 0
        proxied.docker("rm", "-f", name)
    finally:
        proxied.engine.docker("rm", "-f", "-v", name)
        proxied.engine.docker("rmi", "-f", name)
    wait_until(lambda: Scrape(metrics)["client_connections"] == 0, 20, "that all clients have gone")
    scrape = Scrape(metrics)
    status = subprocess.run([binary(), "--metrics", metrics, "status"], capture_output=True,
                            text=True, timeout=20, check=True).stdout
    proxied.proxy.stop()
    records = [json.loads(line) for line in audit_log.read_text().splitlines()]
    assert counted(scrape, "requests_total", "class") == logged(records, "request", "class")
    calls = [r | {"method": r["path"]} for r in records if r["event"] == "grpc"]
    assert counted(scrape, "grpc_calls_total", "method") == logged(calls, "grpc", "method")
    assert {r["verdict"] for r in calls} == {"allow", "deny"}
    assert scrape["answer_seconds_count"] == sum("status" in r for r in records
                                                 if r["event"] == "request")
    assert re.search(r"^requests +allow \d+ deny 2 bad-request 0$", status, re.MULTILINE), status
    assert re.search(r"^calls in /grpc allow \d+ deny 1 bad-request 0$", status, re.MULTILINE)

    passed = {r["id"] for r in records if r["event"] == "request" and r["class"] in STREAMS and
              r["verdict"] == "allow"}
    ends = {r["id"]: r for r in records if r["event"] == "session-end"}
    assert set(ends) == passed
    logs, = (r for r in ends.values() if r["endpoint"] == "GET /containers/{name}/logs")
    assert logs["outcome"] == "client closed"
    assert {r["kind"] for r in ends.values()} == {"stream", "tunnel", "grpc"}
    assert not any(value for key, value in scrape.items() if key.startswith("open_streams"))
    assert scrape["pipes_in_use"] == 0
    relayed = sum(value for key, value in scrape.items() if key.startswith("relayed_bytes_total"))
    assert relayed >= sum(r["bytes_up"] + r["bytes_down"] for r in ends.values())
