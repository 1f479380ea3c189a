"""What a service manager sees: readiness, the watchdog, sockets that it passes."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from client import Client
from proxy_process import Proxy, binary, clean_environment, free_port
from recorder import Recorder, answer_ok, wait_until

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


@pytest.fixture
def engine(tmp_path):
    recorder = Recorder(f"unix://{tmp_path}/engine.sock", handler=answer_ok)
    yield recorder
    recorder.close()


@pytest.fixture
def manager(tmp_path):
    """The socket at which a manager is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(10)
        yield s


def start(tmp_path, engine, options=(), **environment):
    return Proxy([f"unix://{tmp_path}/p.sock"], engine.url, options, tmp_path / "log",
                 {"NOTIFY_SOCKET": str(tmp_path / "notify"), **environment})


def test_ready_once_it_listens_and_stopping(tmp_path, engine, manager):
    proxy = start(tmp_path, engine)
    try:
        assert manager.recv(100) == b"READY=1"
        with Client(proxy.listeners[0]) as client:
            assert client.request("GET", "/_ping").status == 200
        proxy.terminate()
        assert manager.recv(100) == b"STOPPING=1"
    finally:
        proxy.stop()


def test_not_ready_when_it_cannot_start(tmp_path, engine, manager):
    result = subprocess.run([binary(), "--listen", "unix:///nowhere/at/all", "--upstream", engine.url],
                            env=clean_environment() | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
                            capture_output=True, text=True, timeout=30)
    assert result.returncode == 1, result.stderr
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)


def test_a_manager_that_is_gone_is_no_reason_to_end(tmp_path, engine):
    proxy = start(tmp_path, engine)
    try:
        assert "READY=1" in proxy.wait_log("event=notify.*not told")
        with Client(proxy.listeners[0]) as client:
            assert client.request("GET", "/_ping").status == 200
    finally:
        proxy.stop()


def test_the_watchdog_hears_from_an_idle_proxy(tmp_path, engine, manager):
    proxy = start(tmp_path, engine, WATCHDOG_USEC="400000")
    try:
        assert manager.recv(100) == b"READY=1"
        begin = time.monotonic()
        for _ in range(5):
            assert manager.recv(100) == b"WATCHDOG=1"
        assert time.monotonic() - begin < 5
        proxy.terminate()
        wait_until(lambda: manager.recv(100) == b"STOPPING=1", 10, "STOPPING=1")
    finally:
        proxy.stop()


def test_the_watchdog_is_fed_while_streams_drain(tmp_path, engine, manager):
    """A client that stays keeps the drain going longer than the watchdog's time."""
    def never(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        connection.read_all()
    engine.handler = never
    proxy = start(tmp_path, engine, ("--drain-timeout", "2s"), WATCHDOG_USEC="400000")
    try:
        assert manager.recv(100) == b"READY=1"
        with Client(proxy.listeners[0]) as client:
            client.send(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n")
            client.read_until(b"1\r\nx")
            proxy.terminate()
            wait_until(lambda: manager.recv(100) == b"STOPPING=1", 10, "STOPPING=1")
            for _ in range(8):
                assert manager.recv(100) == b"WATCHDOG=1"
    finally:
        proxy.stop()


def test_no_watchdog_unless_it_is_ours(tmp_path, engine, manager):
    proxy = start(tmp_path, engine, WATCHDOG_USEC="40000", WATCHDOG_PID="1")
    try:
        assert manager.recv(100) == b"READY=1"
        manager.settimeout(0.5)
        with pytest.raises(TimeoutError):
            manager.recv(100)
    finally:
        proxy.stop()


@pytest.mark.threads
def test_a_reload_has_a_beginning_and_an_end(tmp_path, engine, manager, certificates):
    """As sd_notify(3) wants it, with the time of the beginning; a failure shows in the status."""
    key = tmp_path / "key.pem"
    files = certificates / "proxy"
    shutil.copy2(files / "key.pem", key)
    proxy = Proxy([f"tcp://127.0.0.1:{free_port()}"], engine.url,
                  ["--tls-cert", files / "cert.pem", "--tls-key", key,
                   "--tls-client-ca", files / "ca.pem"], tmp_path / "log",
                  {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    try:
        assert manager.recv(200) == b"READY=1"
        for good in (True, False, True):
            if good:
                shutil.copy2(files / "key.pem", key)
            else:
                key.write_text("nothing")
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            os.kill(proxy.pid, signal.SIGHUP)
            begin, stamp = manager.recv(200).decode().split("\n")
            assert begin == "RELOADING=1"
            name, _, value = stamp.partition("=")
            assert name == "MONOTONIC_USEC"
            assert before <= int(value) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            ready, status = manager.recv(200).decode().split("\n")
            assert ready == "READY=1"
            assert status == "STATUS=" if good else status.startswith("STATUS=The last reload failed")
    finally:
        proxy.stop()


def test_reloads_do_not_put_off_the_watchdog(tmp_path, engine, manager):
    """A reload may come more often than the watchdog is fed."""
    proxy = start(tmp_path, engine, WATCHDOG_USEC="400000")
    try:
        assert manager.recv(200) == b"READY=1"
        fed = 0
        end = time.monotonic() + 20
        while fed < 3:
            assert time.monotonic() < end, "the watchdog was not fed"
            os.kill(proxy.pid, signal.SIGHUP)
            for _ in range(2):
                message = manager.recv(200)
                while message == b"WATCHDOG=1":
                    fed += 1
                    message = manager.recv(200)
    finally:
        proxy.stop()


@contextlib.contextmanager
def stuck(thread):
    """Stops one thread of another process, as a debugger does."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
        pytest.skip(f"no thread can be stopped here: ptrace: {os.strerror(ctypes.get_errno())}")
    assert libc.ptrace(PTRACE_INTERRUPT, thread, None, None) == 0
    os.waitpid(thread, 0x40000000)  # __WALL
    try:
        yield
    finally:
        assert libc.ptrace(PTRACE_DETACH, thread, None, None) == 0


def test_the_watchdog_hears_nothing_while_any_thread_is_stuck(tmp_path, engine, manager):
    """Each of the threads in turn, the main one apart: without that there is nobody to tell. The
    log's may wait for its reader, and the sanitizers' and the resolver's are none of the relay's."""
    proxy = start(tmp_path, engine, ("--workers", "2"), WATCHDOG_USEC="200000")
    try:
        assert manager.recv(100) == b"READY=1"
        silent = 0
        for thread in sorted(map(int, os.listdir(f"/proc/{proxy.pid}/task"))):
            if thread == proxy.pid:
                continue
            with stuck(thread):
                manager.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        manager.recv(100)
                manager.settimeout(0.15)
                # One answer may have been given before.
                with contextlib.suppress(TimeoutError):
                    manager.recv(100)
                manager.settimeout(0.6)
                try:
                    manager.recv(100)
                except TimeoutError:
                    silent += 1
            manager.settimeout(10)
            wait_until(lambda: manager.recv(100) == b"WATCHDOG=1", 10, "life after all")
        assert silent == 3, "two workers and the acceptor"
    finally:
        proxy.stop()


# --- sockets that were passed

PASS = 'export LISTEN_PID=${LISTEN_PID:-$$}; exec "$@"'


@pytest.fixture
def passing(tmp_path, engine):
    """passing(sockets, *options, **environment): a proxy that got them from descriptor 3 on."""
    started = []

    def start_process(sockets, *options, **environment):
        log = open(tmp_path / "log", "wb")
        environment = {"LISTEN_FDS": str(len(sockets))} | environment
        # Descriptors from 50 on first, lest one that is still to be moved be overwritten.
        for n, s in enumerate(sockets):
            os.dup2(s.fileno(), 50 + n, inheritable=True)
        moves = " ".join(f"{3 + n}<&{50 + n} {50 + n}<&-" for n in range(len(sockets)))
        command = f"exec {moves}; {PASS}" if sockets else PASS
        process = subprocess.Popen(
            ["bash", "-c", command, "sh", binary(), "--upstream", engine.url, *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=range(50, 50 + len(sockets)), env=clean_environment() | environment)
        for n in range(len(sockets)):
            os.close(50 + n)
        log.close()
        started.append(process)
        return process

    start_process.log = lambda: (tmp_path / "log").read_text()
    yield start_process
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)


def unix_listener(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen()
    return s


def expect_refusal(process, passing, *parts):
    assert process.wait(20) == 1, passing.log()
    for part in parts:
        assert part in passing.log()


def test_a_passed_unix_socket(tmp_path, passing):
    path = tmp_path / "passed.sock"
    with unix_listener(path) as s:
        process = passing([s], "--listen", "fd://")
        # Its queue is the kernel's: who connects before the proxy runs is served then.
        with Client(f"unix://{path}") as client:
            assert client.request("GET", "/_ping").status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert path.exists(), "the file is the manager's"
        assert f"address=unix://{path} tls=off" in passing.log()


def test_passed_sockets_by_name_and_number(tmp_path, passing, certificates):
    """A unix one by name without TLS, a tcp one by number, with TLS as certificates are given."""
    server = certificates / "proxy"
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    with unix_listener(tmp_path / "a.sock") as a, tcp:
        passing([a, tcp], "--listen", "fd://local?tls=off", "--listen", "fd://4",
                "--tls-cert", server / "cert.pem", "--tls-key", server / "key.pem",
                "--tls-client-ca", server / "ca.pem", LISTEN_FDNAMES="local:remote")
        with Client(f"unix://{tmp_path}/a.sock") as client:
            assert client.request("GET", "/_ping").status == 200
        with Client(f"tcp://127.0.0.1:{port}", certificates / "agent") as client:
            assert client.request("GET", "/_ping").status == 200


def test_passed_and_opened_sockets_together(tmp_path, passing):
    port = free_port()
    with unix_listener(tmp_path / "a.sock") as a:
        passing([a], "--listen", "fd://a", "--listen", f"tcp://127.0.0.1:{port}",
                LISTEN_FDNAMES="a")
        for url in (f"unix://{tmp_path}/a.sock", f"tcp://127.0.0.1:{port}"):
            wait_until(lambda: "event=started" in passing.log(), 20, "the start")
            with Client(url) as client:
                assert client.request("GET", "/_ping").status == 200


def test_a_socket_that_nobody_asks_for_is_refused(tmp_path, passing):
    with unix_listener(tmp_path / "a.sock") as a, unix_listener(tmp_path / "b.sock") as b:
        expect_refusal(passing([a, b], "--listen", "fd://a", LISTEN_FDNAMES="a:b"), passing,
                       'named "b"', "fd:// asks for all")


def test_no_passed_socket_is_an_error(passing):
    expect_refusal(passing([], "--listen", "fd://x"), passing, "fd://x", "no such socket")


def test_sockets_meant_for_another_process_do_not_count(tmp_path, passing):
    with unix_listener(tmp_path / "a.sock") as a:
        expect_refusal(passing([a], "--listen", "fd://", LISTEN_PID="1"), passing,
                       "no such socket")


def test_two_listeners_cannot_share_a_socket(tmp_path, passing):
    with unix_listener(tmp_path / "a.sock") as a:
        expect_refusal(passing([a], "--listen", "fd://", "--listen", "fd://3"), passing,
                       "fd://3: descriptor 3 is another listener's")


def test_what_does_not_listen_is_refused(tmp_path, passing):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "d"))
        expect_refusal(passing([s], "--listen", "fd://"), passing, "descriptor 3",
                       "not a listening stream socket")


def test_plain_tcp_beyond_loopback_is_refused(passing):
    with socket.create_server(("0.0.0.0", 0)) as s:
        expect_refusal(passing([s], "--listen", "fd://"), passing, "plain TCP",
                       "--insecure-plain-tcp")


def test_a_count_that_is_none_is_refused(passing):
    expect_refusal(passing([], "--listen", "fd://", LISTEN_FDS="many"), passing, "LISTEN_FDS=many")


@pytest.mark.parametrize("url", ("fd://a:b", "fd://a b", "fd://" + "x" * 300, "fd://a?mode=0600"))
def test_names_that_no_socket_has(url):
    result = subprocess.run([binary(), "--check-config", "--listen", url], capture_output=True,
                            text=True, env=clean_environment())
    assert result.returncode == 2 and "--listen" in result.stderr, result


def test_an_engine_is_not_passed():
    result = subprocess.run([binary(), "--check-config", "--upstream", "fd://x"],
                            capture_output=True, text=True, env=clean_environment())
    assert result.returncode == 2 and "neither unix:///path nor tcp" in result.stderr, result


def test_healthcheck_says_that_it_cannot_know():
    result = subprocess.run([binary(), "--healthcheck", "--listen", "fd://"], capture_output=True,
                            text=True, env=clean_environment())
    assert result.returncode == 2 and "fd://" in result.stderr, result


def test_systemds_own_socket_activation(tmp_path, engine):
    """The protocol as systemd speaks it: started by the first connection, which is served."""
    program = shutil.which("systemd-socket-activate")
    if not program:
        pytest.skip("systemd-socket-activate is not installed")
    path = tmp_path / "activated.sock"
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [program, "-l", path, "--fdname=docker", binary(), "--listen", "fd://docker",
             "--upstream", engine.url], env=clean_environment(), stdout=log, stderr=log,
            stdin=subprocess.DEVNULL)
    try:
        wait_until(path.exists, 20, "the socket")
        assert Path(f"/proc/{process.pid}/comm").read_text().startswith("systemd-socket")
        with Client(f"unix://{path}", timeout=30) as client:
            assert client.request("GET", "/_ping").status == 200
        assert Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(
            binary().encode() + b"\0")
    finally:
        process.terminate()
        assert process.wait(20) == 0
