"""Runs the dind-proxy binary under test and watches what it leaves behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from recorder import wait_until
from streams import connect_socket

REPOSITORY = Path(__file__).resolve().parents[2]
SANITIZER_REPORT = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def binary():
    """The program under test: DIND_PROXY_BIN, or the release build."""
    return os.environ.get("DIND_PROXY_BIN") or str(REPOSITORY / "build/release/dind-proxy")


def sanitizer():
    """Which sanitizer the binary was built with, by the name of its build: asan, tsan or None."""
    for name in ("asan", "tsan"):
        if f"/{name}/" in binary():
            return name
    return None


def ended(status):
    """How a process ended, in words."""
    if status == -signal.SIGSYS:
        return ("killed by its own sandbox (SIGSYS) for a system call that is not in "
                "proxy/sandbox_calls.c; the kernel's log has its number (type=1326 … syscall=N)")
    return f"exit status {status}"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def clean_environment():
    """The tests' own environment without what the proxy would take for configuration, and without
    what would send Docker's clients to other hosts or CAs than those they are told."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith(("DIND_PROXY_", "DOCKER_"))
            and not k.endswith(("_CA_BUNDLE", "_proxy", "_PROXY"))}


def make_certificates(directory):
    """agent/, proxy/, dind-server/ and dind-client/ in it, each {ca,cert,key}.pem; the directory."""
    subprocess.run([REPOSITORY / "tools/test-certs", directory], check=True,
                   stdout=subprocess.DEVNULL)
    return directory


def accepts(listener):
    try:
        connect_socket(listener.partition("?")[0], 1).close()
        return True
    except OSError:
        return False


class Proxy:
    """A running dind-proxy. `listeners` are the URLs passed to --listen."""

    def __init__(self, listeners, upstream, options=(), log=None, environment=None, prefix=()):
        self.listeners = list(listeners)
        self.says_listening = "warning" not in options
        self.log_path = Path(log)
        self.log_file = open(self.log_path, "wb")
        command = [*prefix, binary()]
        for listener in self.listeners:
            command += ["--listen", listener]
        command += ["--upstream", upstream, *map(str, options)]
        self.command = shlex.join(command)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file,
            env=clean_environment() | (environment or {}))
        self.pid = self.process.pid
        wait_until(self._ready, 20, f"listening: {self.command}")

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command}\n{ended(self.process.returncode)}:\n"
                                 f"{self.log()}")
        if not self.says_listening:
            return all(map(accepts, self.listeners))
        log = self.log()
        return log.count("event=listening") + log.count('"event":"listening"') >= len(
            self.listeners)

    def log(self):
        return self.log_path.read_text(errors="backslashreplace")

    def log_lines(self):
        return self.log().splitlines()

    def wait_log(self, pattern, timeout=10):
        """The first log line that matches, waited for."""
        expression = re.compile(pattern)

        def find():
            return next((line for line in self.log_lines() if expression.search(line)), None)
        return wait_until(find, timeout, f"log line {pattern}")

    def status(self, field):
        """A field of /proc/PID/status in KiB, such as VmRSS."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)

    def thread_states(self, *names):
        """These fields of /proc/PID/task/*/status, a dictionary for each thread."""
        def fields(task):
            lines = (task / "status").read_text().splitlines()
            return {k: v.strip() for k, _, v in (x.partition(":") for x in lines) if k in names}
        return [fields(task) for task in Path(f"/proc/{self.pid}/task").iterdir()]

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            pytest.skip("a confined process shows its descriptors to root alone")

    def running(self):
        return self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=20):
        return self.process.wait(timeout)

    def stop(self):
        """Ends the proxy and fails on a bad exit or on anything a sanitizer said."""
        if self.running():
            self.terminate()
        late = False
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            late = True
            self.process.kill()
            self.process.wait()
        self.log_file.close()
        log = self.log()
        report = SANITIZER_REPORT.search(log)
        assert not report, log[report.start():][:6000]
        assert not late, f"did not end within 20 s of SIGTERM\n{log[-3000:]}"
        assert self.process.returncode == 0, \
            f"{ended(self.process.returncode)}\n{log[-3000:]}"
