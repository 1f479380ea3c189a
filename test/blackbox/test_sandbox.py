"""What a running proxy has given up, as the kernel tells it; that it then still does all it has to,
the other suites show, which run with --sandbox auto as everybody does."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from client import Client
from proxy_process import Proxy, binary, clean_environment, free_port, sanitizer
from recorder import Recorder, answer_ok, wait_until
from test_reload import assert_reloaded, make_reloadable, mounted, reload, replace  # noqa: F401

EMULATED = "run-arm64" in binary()
PARTS = ("no_new_privileges", "no_core_dumps", "no_capabilities", "landlock", "seccomp")


def says(proxy):
    """The parts of the line about the sandbox: {name: (on, the rest)}."""
    line = proxy.wait_log("event=sandbox")
    found = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))
    assert [name for name in found if name in PARTS] == list(PARTS), line
    texts = {name: found[name].strip('"') for name in PARTS}
    return {name: (text.split(":")[0] == "on", text.partition(": ")[2])
            for name, text in texts.items()}


def need_seccomp(proxy):
    on, why = says(proxy)["seccomp"]
    if not on:
        assert EMULATED, why
        pytest.skip(f"no seccomp here: {why}")


@pytest.fixture
def engine(tmp_path):
    recorder = Recorder(f"unix://{tmp_path}/engine.sock", handler=answer_ok)
    yield recorder
    recorder.close()


# Over mutual TLS they run in the virtual machine too, which has an older kernel.
BOTH = pytest.mark.parametrize("hops", (("unix", "unix"), ("mtls", "mtls")), ids="-".join)


@BOTH
@pytest.mark.ktls
@pytest.mark.threads
def test_what_the_kernel_says(rig):
    need_seccomp(rig.proxy)
    with rig.client() as client:
        assert client.request("GET", "/_ping").status == 200
    threads = rig.proxy.thread_states(
        "NoNewPrivs", "Seccomp", "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
    assert len(threads) >= 4, "main, the log's, a worker, the acceptor"
    for thread in threads:
        assert thread["NoNewPrivs"] == "1" and thread["Seccomp"] == "2", threads
        assert {thread[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} \
            == {"0" * 16}, threads
        # Dropping it takes CAP_SETPCAP.
        assert os.geteuid() != 0 or thread["CapBnd"] == "0" * 16, threads
    limits = Path(f"/proc/{rig.proxy.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits


@BOTH
@pytest.mark.ktls
@pytest.mark.threads
def test_every_part_is_in_force_or_says_why(rig):
    need_seccomp(rig.proxy)
    parts = says(rig.proxy)
    assert all(parts[name][0] for name in PARTS if name != "landlock"), parts
    on, text = parts["landlock"]
    if not on:
        assert "KTLS_VM" not in os.environ, text
        pytest.skip(f"no Landlock here: {text}")
    assert re.match(r"version \d+: files", text), text


def test_off_is_off(make_rig):
    rig = make_rig(("unix", "unix"), "--sandbox", "off", "--workers", "1")
    with rig.client() as client:
        assert client.request("GET", "/_ping").status == 200
    assert {t["Seccomp"] for t in rig.proxy.thread_states("Seccomp")} == \
        {re.search(r"Seccomp:\s+(\d)", Path("/proc/self/status").read_text())[1]}
    assert "event=sandbox" not in rig.proxy.log()


def start_required(tmp_path, engine, prefix=()):
    return subprocess.run(
        [*prefix, binary(), "--sandbox", "require", "--listen", f"unix://{tmp_path}/p.sock",
         "--upstream", engine.url], env=clean_environment(), capture_output=True, text=True,
        timeout=60)


def test_require(tmp_path, engine):
    """It starts, or says which part there is not."""
    version = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True)
    missing = re.findall(r"^(Landlock|seccomp) is not available: (.*)$", version.stdout,
                         re.MULTILINE)
    if missing:
        result = start_required(tmp_path, engine)
        assert result.returncode == 1, result
        assert any(f"--sandbox require: {part.lower()}: {why}" in result.stderr
                   for part, why in missing), result
        return
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], engine.url, ["--sandbox", "require"],
                  tmp_path / "log")
    try:
        assert all(on for on, _ in says(proxy).values())
        with Client(proxy.listeners[0]) as client:
            assert client.request("GET", "/_ping").status == 200
    finally:
        proxy.stop()


@pytest.mark.skipif(EMULATED or sanitizer() is not None, reason="asks for the real thing")
@pytest.mark.parametrize("call, part", (
    ("landlock_create_ruleset", "landlock"),
    ("seccomp", "seccomp"),
    ("capset", "no_capabilities"),
))
@pytest.mark.parametrize("error", (1, 38), ids=("EPERM", "ENOSYS"))
def test_where_a_runtime_forbids_it(tmp_path, engine, call, part, error):
    """auto goes on without that part and says so; require does not start, and names it."""
    if part == "no_capabilities" and os.geteuid() != 0:
        pytest.skip("there are no capabilities to give up")
    prefix = ["/usr/bin/python3", str(Path(__file__).parent / "deny_call.py"), call, str(error)]
    result = start_required(tmp_path, engine, prefix)
    assert result.returncode == 1 and f"--sandbox require: {part}: " in result.stderr, result
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], engine.url, (), tmp_path / "log", prefix=prefix)
    try:
        parts = says(proxy)
        assert not parts[part][0] and parts[part][1], parts
        assert parts["no_core_dumps"][0], parts
        with Client(proxy.listeners[0]) as client:
            assert client.request("GET", "/_ping").status == 200
    finally:
        proxy.stop()


@pytest.mark.threads
def test_a_reload_reads_files_that_came_later(make_reloadable, mounted):  # noqa: F811
    """Its folders stay open, whatever is in them by then; the private ones' owner is root."""
    rig = make_reloadable(("mtls", "mtls"), "--workers", "1")
    need_seccomp(rig.proxy)
    for _ in range(3):
        replace(mounted / "proxy", mounted / "proxy")
        assert_reloaded(rig)
    with rig.client() as client:
        assert client.request("GET", "/_ping").status == 200


@pytest.mark.threads
def test_a_reload_reads_a_policy_that_came_later(tmp_path, engine):
    policy = tmp_path / "policy/file.json"
    policy.parent.mkdir()
    policy.write_text('{"schema": 1}')
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], engine.url, ["--policy-file", policy],
                  tmp_path / "log")
    try:
        need_seccomp(proxy)
        with Client(proxy.listeners[0]) as client:
            assert client.request("GET", "/info").status == 200
        new = policy.with_suffix(".new")
        new.write_text('{"schema": 1, "endpoints": {"only": ["GET /_ping"]}}')
        os.replace(new, policy)
        os.kill(proxy.pid, signal.SIGHUP)
        proxy.wait_log("level=info event=reload")
        with Client(proxy.listeners[0]) as client:
            assert client.request("GET", "/info").status == 403
    finally:
        proxy.stop()


@pytest.mark.threads
def test_a_reload_does_not_follow_a_link_elsewhere(make_reloadable, mounted, tmp_path):  # noqa: F811
    rig = make_reloadable(("mtls", "mtls"), "--workers", "1")
    need_seccomp(rig.proxy)
    if not says(rig.proxy)["landlock"][0]:
        pytest.skip(f"no Landlock here: {says(rig.proxy)['landlock'][1]}")
    if sanitizer():
        pytest.skip("a build with sanitizers may read every file, for their reports")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    certificate = mounted / "proxy/cert.pem"
    shutil.move(certificate, elsewhere / "cert.pem")
    certificate.symlink_to(elsewhere / "cert.pem")
    line = reload(rig)
    assert "level=error" in line and "Permission denied" in line, line
    with rig.client() as client:
        assert client.request("GET", "/_ping").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_files_of_another_user_stay_readable(make_reloadable, mounted):  # noqa: F811
    """Root reads them by a capability, so that one is kept, and the log says why."""
    for path in (mounted / "proxy").iterdir():
        os.chown(path, 12345, 12345)
    rig = make_reloadable(("mtls", "mtls"), "--workers", "1")
    on, text = says(rig.proxy)["no_capabilities"]
    assert not on and "CAP_DAC_OVERRIDE" in text and str(mounted / "proxy") in text
    kept = {t["CapEff"] for t in rig.proxy.thread_states("CapEff")}
    # QEMU has a thread of its own besides.
    assert kept == {"0000000000000002"} or (EMULATED and "0000000000000002" in kept), kept
    assert_reloaded(rig)


@pytest.mark.threads
def test_an_engine_by_name_is_looked_up_again(tmp_path):
    """Which takes sockets and files of the C library's, in a thread that is confined."""
    port = free_port()
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], f"tcp://localhost:{port}", ("--workers", "1"),
                  tmp_path / "log")
    try:
        need_seccomp(proxy)
        with Client(proxy.listeners[0]) as client:
            assert client.request("GET", "/_ping").status == 503
        recorder = Recorder(f"tcp://127.0.0.1:{port}", handler=answer_ok)
        try:
            def served():
                with Client(proxy.listeners[0]) as client:
                    return client.request("GET", "/_ping").status == 200
            wait_until(served, 20, "the engine behind its name")
        finally:
            recorder.close()
        other = Proxy([f"unix://{tmp_path}/q.sock"], "tcp://no-such-engine.invalid:2375",
                      ("--workers", "1"), tmp_path / "other.log")
        with contextlib.closing(Client(other.listeners[0])) as client:
            assert client.request("GET", "/_ping").status == 503
        wait_until(lambda: other.log().count("event=resolve") >= 2, 30, "two look-ups")
        other.stop()
    finally:
        proxy.stop()


def test_sockets_are_removed_at_the_end(tmp_path, engine):
    metrics = tmp_path / "metrics.sock"
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], engine.url, ["--metrics", f"unix://{metrics}"],
                  tmp_path / "log")
    assert metrics.exists()
    proxy.stop()
    assert not metrics.exists() and not (tmp_path / "p.sock").exists()


@pytest.mark.skipif(EMULATED, reason="QEMU's signals are its own")
def test_a_crash_dies_of_its_own_signal(tmp_path, engine):
    """And leaves no core dump."""
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], engine.url, (), tmp_path / "log")
    os.kill(proxy.pid, signal.SIGSEGV)
    status = proxy.wait()
    proxy.log_file.close()
    # A sanitizer tells of it and ends the process itself.
    assert status == -signal.SIGSEGV or (sanitizer() and status > 0), status
    assert not list(Path.cwd().glob("core*"))


def test_metrics(tmp_path, engine):
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], engine.url,
                  ["--metrics", f"unix://{tmp_path}/m.sock"], tmp_path / "log")
    try:
        with Client(f"unix://{tmp_path}/m.sock") as client:
            text = client.request("GET", "/metrics").body.decode()
        shown = dict(re.findall(r'^dind_proxy_sandbox\{part="(\w+)"\} ([01])$', text, re.MULTILINE))
        assert shown == {name: str(int(on)) for name, (on, _) in says(proxy).items()}
    finally:
        proxy.stop()
