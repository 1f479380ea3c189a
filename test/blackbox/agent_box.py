"""A client's container in miniature, for dind-proxy doctor: a network namespace behind a gateway, a
root folder with nothing in it but the program, and the mounts that a test wants."""

import ctypes
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy_process import binary, clean_environment

CLONE_NEWNET = 0x40000000
GATEWAY, AGENT, DOCKER0 = "10.77.0.1", "10.77.0.2", "172.17.0.1"
GATEWAY_V6, AGENT_V6 = "fd77::1", "fd77::2"


def needs():
    """Skips where no namespaces can be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    for program in ("ip", "unshare", "nsenter", "chroot"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    result = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, text=True)
    if result.returncode != 0:
        pytest.skip(f"namespaces cannot be made here: {result.stderr.strip()}")


class Namespace:
    """A network namespace, held by a process that sleeps."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"],
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.path = f"/proc/{self.process.pid}/ns/net"
        self.run("ip", "link", "set", "lo", "up")

    def enter(self, *command):
        return ["nsenter", f"--net={self.path}", *map(str, command)]

    def run(self, *command):
        subprocess.run(self.enter(*command), check=True, capture_output=True)

    @contextmanager
    def inside(self):
        """Sockets that this thread makes meanwhile belong to the namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as here, open(self.path) as there:
            def go(file):
                if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            go(there)
            try:
                yield
            finally:
                go(here)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class AgentBox:
    """`host` has the engine and the proxy, and is the gateway of `agent`."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.root = self.directory / "root"
        self.mounts = []
        self.host, self.agent = Namespace(), Namespace()
        self.host.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns",
                      self.agent.process.pid)
        for namespace, device, v4, v6 in ((self.host, "v0", GATEWAY, GATEWAY_V6),
                                          (self.agent, "v1", AGENT, AGENT_V6)):
            namespace.run("ip", "address", "add", f"{v4}/24", "dev", device)
            namespace.run("ip", "address", "add", f"{v6}/64", "dev", device, "nodad")
            namespace.run("ip", "link", "set", device, "up")
        self.host.run("ip", "address", "add", f"{DOCKER0}/16", "dev", "lo")
        self.agent.run("ip", "route", "add", "default", "via", GATEWAY)
        self.agent.run("ip", "-6", "route", "add", "default", "via", GATEWAY_V6)
        self._make_root({"dind-proxy": GATEWAY})

    def _make_root(self, hosts):
        (self.root / "etc").mkdir(parents=True)
        (self.root / "proc").mkdir()
        self.hosts(hosts)
        shutil.copy(binary(), self.root / "doctor")
        libraries = subprocess.run(["ldd", binary()], capture_output=True, text=True).stdout
        for path in set(re.findall(r"(/\S+) \(0x", libraries)):
            target = self.root / path[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)

    def hosts(self, names):
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in names.items())]
        (self.root / "etc/hosts").write_text("\n".join(lines) + "\n")
        (self.root / "etc/nsswitch.conf").write_text("hosts: files\n")

    def mount(self, source, target):
        """`source` appears at `target` in the box, as a mount of its own."""
        place = self.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        self.mounts.append((source, place))

    def doctor(self, *options, env=None, host=f"tcp://dind-proxy:2376", timeout=60):
        """(exit status, {name: (word, rest)}, the whole output)."""
        script = 'mount -t proc proc "$1/proc" && ' + "".join(
            f'mount --bind "{source}" "{place}" && ' for source, place in self.mounts) + \
            'root=$1 && shift && exec chroot "$root" /doctor doctor "$@"'
        environment = clean_environment() | {"HOME": "/nowhere"} | (env or {})
        if host:
            environment |= {"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1"}
        result = subprocess.run(
            self.agent.enter("unshare", "-m", "sh", "-c", script, "sh", self.root, *options),
            capture_output=True, text=True, env=environment, timeout=timeout)
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, result
        doors = {}
        for line in result.stdout.splitlines():
            found = re.fullmatch(r"(proxy|closed|refuses|other|OPEN|note) +(\S+?)(?: \(.*\))?: (.*)",
                                 line)
            if found:
                doors[found[2]] = (found[1], found[3])
        return result.returncode, doors, result.stdout + result.stderr

    def close(self):
        self.agent.close()
        self.host.close()
