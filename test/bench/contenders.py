"""What is compared: each contender's process for one kind of hop, and what it has used so far."""

import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

CPUCLOCK_SCHED = 2  # clock_getcpuclockid(3): the process's CPU time in nanoseconds, all threads


class Failed(Exception):
    """Something the benchmark needs does not work; the text says what."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Hop:
    """unix→unix or mTLS→mTLS: where the engine listens and how it is reached."""

    def __init__(self, name, folder, certificates):
        self.name = name
        self.tls = name.startswith("mTLS")
        self.folder = folder
        self.certificates = certificates
        self.engine_path = folder / "engine.sock"
        self.engine_port = free_port() if self.tls else None

    def engine(self, identity):
        """The engine's address as its stub and the C programs take it."""
        if not self.tls:
            return f"unix:{self.engine_path}"
        return f"tls:{self.engine_port}:{self.certificates / identity}"


class Contender:
    """One process between the load and the engine. Both proxies write a line for each request, to a
    file in the work folder."""

    def __init__(self, name, hop, command, port=None, path=None):
        self.name = name
        self.hop = hop
        self.port = port
        self.path = path
        self.process = None
        if command is not None:
            self.log = hop.folder / (name.replace(" ", "-") + ".log")
            self.process = start(command, self.log)
            wait_until_listening(self)

    @property
    def address(self):
        """Where the load goes."""
        if self.process is None:
            return self.hop.engine("dind-client")
        if self.hop.tls:
            return f"tls:{self.port}:{self.hop.certificates / 'agent'}"
        return f"unix:{self.path}"

    def cpu_seconds(self):
        return time.clock_gettime((~self.process.pid << 3) | CPUCLOCK_SCHED)

    def settled_cpu_seconds(self, limit=0.5):
        """The same once it has nothing left to do, so that closing is paid for where it belongs."""
        deadline = time.monotonic() + limit
        last = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.01)
            now = self.cpu_seconds()
            if now == last:
                break
            last = now
        return last

    def private_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise Failed("the kernel tells no RssAnon")

    def stop(self):
        if self.process is not None:
            stop(self.process)


def start(command, log):
    """Starts a process; its output is there for the message if it fails."""
    with open(log, "wb") as output:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def stop(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def wait_until_listening(contender, limit=120):
    deadline = time.monotonic() + limit
    while True:
        if contender.process.poll() is not None:
            text = contender.log.read_text(errors="replace")[-2000:]
            raise Failed(f"{contender.name} ended with {contender.process.returncode}: {text}")
        if contender.hop.tls:
            probe, where = socket.socket(), ("127.0.0.1", contender.port)
        else:
            probe, where = socket.socket(socket.AF_UNIX), str(contender.path)
        with probe:
            try:
                probe.connect(where)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise Failed(f"{contender.name} does not listen") from None
        time.sleep(0.02)


def direct(hop, options):
    return Contender("direct", hop, None)


def dind_proxy(hop, options, name="dind-proxy", extra=()):
    port = free_port()
    path = hop.folder / f"{name.replace(' ', '-')}.sock"
    keys = hop.certificates
    command = [options.proxy, "--workers", options.threads, "--max-connections", max_connections()]
    if hop.tls:
        command += ["--listen", f"tcp://127.0.0.1:{port}"]
        command += ["--tls-cert", keys / "proxy/cert.pem", "--tls-key", keys / "proxy/key.pem"]
        command += ["--tls-client-ca", keys / "proxy/ca.pem"]
        command += ["--upstream", f"tcp://127.0.0.1:{hop.engine_port}"]
        command += ["--upstream-tls-ca", keys / "dind-client/ca.pem"]
        command += ["--upstream-tls-cert", keys / "dind-client/cert.pem"]
        command += ["--upstream-tls-key", keys / "dind-client/key.pem"]
    else:
        command += ["--listen", f"unix://{path}?mode=0600"]
        command += ["--upstream", f"unix://{hop.engine_path}"]
    return Contender(name, hop, command + list(extra) + options.proxy_option, port, path)


def dind_proxy_user_space(hop, options):
    return dind_proxy(hop, options, "dind no kTLS", ["--ktls", "off"])


HAPROXY = """\
global
    nbthread {threads}
    maxconn {connections}
    log stderr format raw local0

defaults
    mode http
    log global
    option httplog
    option splice-auto
    option splice-request
    option splice-response
    option http-keep-alive
    http-reuse always
    timeout connect 10s
    timeout http-request 30s
    timeout http-keep-alive 15m
    timeout client 24h
    timeout server 24h
    timeout tunnel 24h

frontend docker
    bind {bind}
    default_backend engine

backend engine
    server engine {server}
"""


def haproxy(hop, options):
    port = free_port()
    path = hop.folder / "haproxy.sock"
    keys = hop.certificates
    if hop.tls:
        for name in ("proxy", "dind-client"):
            both = (keys / name / "cert.pem").read_text() + (keys / name / "key.pem").read_text()
            (hop.folder / f"{name}.pem").write_text(both)
        bind = (
            f"127.0.0.1:{port} ssl crt {hop.folder}/proxy.pem ca-file {keys}/proxy/ca.pem"
            " verify required alpn http/1.1"
        )
        server = (
            f"127.0.0.1:{hop.engine_port} ssl crt {hop.folder}/dind-client.pem"
            f" ca-file {keys}/dind-client/ca.pem verify required verifyhost localhost"
            " alpn http/1.1"
        )
    else:
        bind = f"unix@{path} mode 600"
        server = f"unix@{hop.engine_path}"
    file = hop.folder / "haproxy.cfg"
    text = HAPROXY.format(threads=options.threads, connections=max_connections(), bind=bind,
                          server=server)
    file.write_text(text)
    return Contender("HAProxy", hop, [options.haproxy, "-db", "-f", file], port, path)


def copy_relay(hop, options):
    port = free_port()
    path = hop.folder / "copy.sock"
    listen = f"tls:{port}:{hop.certificates / 'proxy'}" if hop.tls else f"unix:{path}"
    command = [options.work / "copy_relay", listen, hop.engine("dind-client")]
    return Contender("copy relay", hop, command, port, path)


def raise_descriptor_limit():
    """For this process and those it starts; both proxies size their tables by it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_connections():
    """As many as there are descriptors for, two each, and some for pipes and listeners."""
    return min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3)


def kernel_tls():
    try:
        return "tls" in Path("/proc/sys/net/ipv4/tcp_available_ulp").read_text().split()
    except OSError:
        return False


def executable(path):
    return os.access(path, os.X_OK)
