"""Container images made of this machine's own programs and the libraries they need: no registry."""

import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

# What a shell script may call.
APPLETS = ("sh", "awk", "cat", "chmod", "cp", "echo", "env", "grep", "head", "hostname", "id", "ip", "kill", "ls",
           "mkdir", "mount", "nc", "printf", "ps", "rm", "sed", "sleep", "sort", "stat", "tail",
           "test", "touch", "tr", "true", "umount", "uname", "wc")
XTABLES = Path("/usr/lib/x86_64-linux-gnu/xtables")
DOCKERD = ("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-init",
           "docker-proxy", "docker")
FIREWALL = ("iptables", "ip6tables", "iptables-save", "iptables-restore", "ip6tables-restore",
            "iptables-nft", "ip6tables-nft", "iptables-nft-restore", "ip6tables-nft-restore")
ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n",
    "etc/group": "root:x:0:\ndocker:x:999:\nagent:x:1000:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def libraries(program):
    text = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+) \(0x", text))


def add_file(tar, source, name, seen):
    """The file that `source` leads to, once."""
    name = name.lstrip("/")
    if name in seen:
        return
    seen.add(name)
    tar.add(Path(source).resolve(), name, recursive=False)


def add_text(tar, name, text, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(text.encode()), mode
    tar.addfile(info, BytesIO(text.encode()))


def write(archive, programs=(), extra=(), scripts=()):
    """A root file system: busybox, `programs` by name, `extra` (source, path), `scripts`
    (path, text)."""
    seen = set()
    sources = []
    for program in programs:
        path = shutil.which(program)
        if not path:
            pytest.skip(f"{program} is not installed")
        sources.append((path, f"usr/bin/{program}"))
    if any("tables" in program for program in programs):
        sources += [(path, str(path)) for path in XTABLES.glob("*.so")]
    sources += list(extra)
    needed = set()
    for source, _ in sources:
        needed |= libraries(Path(source).resolve())
    # glibc loads these by name: users and host names.
    needed |= {str(path) for path in Path("/lib/x86_64-linux-gnu").glob("libnss_[fd]*.so.2")}
    with tarfile.open(archive, "w") as tar:
        for folder, mode in (("tmp", 0o1777), ("root", 0o700), ("proc", 0o755), ("sys", 0o755),
                             ("dev", 0o755), ("var/run", 0o755), ("run", 0o755)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        add_file(tar, shutil.which("busybox"), "bin/busybox", seen)
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for source, name in [*sources, *((path, path) for path in sorted(needed))]:
            add_file(tar, source, name, seen)
        for name, text in {**ETC, **dict(scripts)}.items():
            add_text(tar, name, text, 0o755 if text.startswith("#!") else 0o644)


def load(docker, archive, name, *changes):
    """Imports it by `docker(*words)`."""
    words = [word for change in changes for word in ("-c", change)]
    with open(archive, "rb") as file:
        result = docker("import", *words, "-", name, stdin=file)
    assert result.returncode == 0, result.stderr
