"""A real engine of our own, and that engine as seen through a proxy."""

import contextlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

import kernel_tls
from proxy_process import REPOSITORY, Proxy, clean_environment, free_port
from recorder import wait_until

PRIVATE_DOCKERD = REPOSITORY / "tools/engine/private-dockerd"
DOCKER = "/usr/bin/docker"
SECOND_DOCKER = os.environ.get("DIND_PROXY_SECOND_DOCKER") or "/usr/local/bin/docker"
# A newer Docker than the machine's: what tools/testing/fetch-docker has unpacked.
NEWER = Path(os.environ.get("DIND_PROXY_NEWER_DOCKER") or REPOSITORY / "build/docker")
IMAGE = "e2e/busybox:1"
CANNOT = 3
APPLETS = ("sh", "cat", "echo", "sleep", "ls", "true", "false", "wget", "ip", "mkdir", "dd", "id",
           "head", "wc", "tty", "stty", "seq", "test", "nc", "yes", "md5sum", "printf", "env")


class Engine:
    """`programs` is a folder with another dockerd than the machine's, `config` its daemon.json."""

    def __init__(self, directory, certificates, programs=None, config=None):
        self.directory = directory
        command = [PRIVATE_DOCKERD, "start", directory, "--certs", certificates / "dind-server"]
        if programs is not None:
            command += ["--programs", programs]
        if config is not None:
            (directory / "wanted.json").write_text(json.dumps(config))
            command += ["--config", directory / "wanted.json"]
        # The kernel of the virtual machine for kernel TLS has no netfilter.
        if "KTLS_VM" in os.environ:
            command += ["--no-networks", "--timeout", "120"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == CANNOT:
            pytest.skip(f"no engine here: {result.stderr.strip()}")
        assert result.returncode == 0, result.stderr
        answers = dict(line.split("=", 1) for line in result.stdout.splitlines())
        self.unix, self.tcp, self.pid = answers["unix"], answers["tcp"], int(answers["pid"])

    def docker(self, *arguments, **options):
        """Docker's client, past the proxy: for preparing and for looking."""
        return subprocess.run([DOCKER, "-H", self.unix, *arguments], capture_output=True,
                              env=clean_environment(), timeout=120, **options)

    def stop(self):
        subprocess.run([PRIVATE_DOCKERD, "stop", self.directory], check=True)


def write_dockerfile(context, flags, command="md5sum /file > /sum"):
    """Two stages, of which the first runs a command over a file of the context."""
    (context / "Dockerfile").write_text(f"FROM {IMAGE} AS one\nCOPY file /file\n"
                                        f"RUN {flags} {command}\n"
                                        f"FROM {IMAGE}\nCOPY --from=one /sum /sum\n")


def make_image(engine, directory):
    """An image from the machine's static busybox; no registry is asked."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed"
    archive = directory / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(busybox, "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    with open(archive, "rb") as file:
        result = engine.docker("import", "-", IMAGE, stdin=file)
    assert result.returncode == 0, result.stderr


@contextlib.contextmanager
def serve_registry(engine, directory):
    """Debian's registry on the loopback of the engine's own network namespace; yields its name."""
    program = shutil.which("docker-registry")
    if not program:
        pytest.skip("docker-registry is not installed")
    (directory / "config.yml").write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
        "http: {addr: '127.0.0.1:5000'}\n")
    inside = ["nsenter", "-t", str(engine.pid), "-n"]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen([*inside, program, "serve", str(directory / "config.yml")],
                                   stdout=log, stderr=log)

    def answers():
        assert process.poll() is None, (directory / "log").read_text()
        return subprocess.run([*inside, "/usr/bin/python3", "-c",
                               "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/v2/')"],
                              capture_output=True).returncode == 0
    try:
        wait_until(answers, 20, "the registry")
        yield "127.0.0.1:5000"
    finally:
        process.terminate()
        process.wait()


class Proxied:
    """The engine as a client sees it through the proxy."""

    def __init__(self, engine, certificates, directory, kind, options=()):
        self.engine = engine
        self.kind = kind
        self.directory = directory
        if kind == "unix-unix":
            self.url = f"unix://{directory}/p.sock"
            self.proxy = Proxy([self.url], engine.unix, options, directory / "proxy.log")
            self.environment = {"DOCKER_HOST": self.url}
        else:
            self.url = f"tcp://127.0.0.1:{free_port()}"
            server, client = certificates / "proxy", certificates / "dind-client"
            self.proxy = Proxy(
                [self.url], engine.tcp,
                ["--tls-cert", server / "cert.pem", "--tls-key", server / "key.pem",
                 "--tls-client-ca", server / "ca.pem", "--upstream-tls-ca", client / "ca.pem",
                 "--upstream-tls-cert", client / "cert.pem",
                 "--upstream-tls-key", client / "key.pem", *kernel_tls.options(), *options], directory / "proxy.log")
            self.environment = {"DOCKER_HOST": self.url, "DOCKER_TLS_VERIFY": "1",
                                "DOCKER_CERT_PATH": str(certificates / "agent")}
        # All that is shown through it is shown of a confined proxy.
        states = self.proxy.thread_states("Seccomp", "CapEff")
        assert {(t["Seccomp"], int(t["CapEff"], 16)) for t in states} == {("2", 0)}, states
        config = directory / "docker-config"
        config.mkdir()
        self.environment |= clean_environment() | {"DOCKER_CONFIG": str(config),
                                                   "DOCKER_BUILDKIT": "0"}

    def docker(self, *arguments, client=DOCKER, timeout=60, check=True, **options):
        """Runs the client; its output as text. Fails where the client fails, unless told."""
        options.setdefault("text", True)
        result = subprocess.run([client, *arguments], capture_output=True, env=self.environment,
                                timeout=timeout, **options)
        if check:
            assert result.returncode == 0, (arguments, result.stdout[-2000:], result.stderr[-2000:],
                                            self.proxy.log()[-2000:])
        return result

    def popen(self, *arguments, **options):
        return subprocess.Popen([DOCKER, *arguments], env=self.environment, **options)
