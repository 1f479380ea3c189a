"""What the policy refuses, as a person at the docker client sees it."""

import re

import pytest

from docker_engine import IMAGE

# The client prints the engine's message as it is.
SHOWN = re.compile(r"blocked by jailoc proxy: .+ \([a-z0-9][a-z0-9._-]*\)")

RUN = {
    "privileged": ["--privileged"],
    "network-host": ["--network", "host"],
    "pid-host": ["--pid", "host"],
    "ipc-host": ["--ipc", "host"],
    "uts-host": ["--uts", "host"],
    "userns-host": ["--userns", "host"],
    "cgroupns-host": ["--cgroupns", "host"],
    "cap-all": ["--cap-add", "ALL"],
    "cap-sys-admin": ["--cap-add", "SYS_ADMIN"],
    "cap-lower": ["--cap-add", "sys_ptrace"],
    "device": ["--device", "/dev/null"],
    "device-rule": ["--device-cgroup-rule", "a *:* rwm"],
    "gpus": ["--gpus", "all"],
    "root": ["-v", "/:/host"],
    "bind-anything": ["-v", "/tmp:/x"],
    "bind-socket": ["-v", "/var/run/docker.sock:/var/run/docker.sock"],
    "mount-bind": ["--mount", "type=bind,src=/etc,dst=/x"],
    "mount-driver-bind": ["--mount", "type=volume,dst=/x,volume-driver=local,volume-opt=type=none,"
                          "volume-opt=o=bind,volume-opt=device=/"],
    "volumes-from": ["--volumes-from", "other"],
    "volume-driver": ["--volume-driver", "other", "-v", "x:/x"],
    "seccomp": ["--security-opt", "seccomp=unconfined"],
    "apparmor": ["--security-opt", "apparmor=unconfined"],
    "label": ["--security-opt", "label=disable"],
    "systempaths": ["--security-opt", "systempaths=unconfined"],
    "cgroup-parent": ["--cgroup-parent", "/x"],
    "runtime": ["--runtime", "other"],
    "log-driver": ["--log-driver", "syslog"],
}


def containers(engine):
    return engine.docker("ps", "-aq").stdout


@pytest.mark.parametrize("options", RUN.values(), ids=RUN.keys())
def test_run(proxied, options):
    before = containers(proxied.engine)
    result = proxied.docker("run", "--rm", *options, IMAGE, "true", check=False)
    assert result.returncode == 125, result
    assert SHOWN.search(result.stderr), result.stderr
    assert containers(proxied.engine) == before


@pytest.fixture
def running(proxied, name):
    proxied.docker("run", "-d", "--name", name, IMAGE, "sleep", "60")
    return name


def refused(proxied, *arguments, **options):
    result = proxied.docker(*arguments, check=False, **options)
    assert result.returncode != 0, result
    assert SHOWN.search(result.stderr), result.stderr


def test_exec(proxied, running):
    refused(proxied, "exec", running, "id")
    refused(proxied, "exec", "-i", running, "cat", input="x")


def test_update(proxied, running):
    refused(proxied, "update", "--restart", "always", running)


def test_copy_in(proxied, running, tmp_path):
    (tmp_path / "file").write_text("x" * 3000000)
    refused(proxied, "cp", str(tmp_path / "file"), f"{running}:/")


def test_build(proxied, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN true\n")
    # A context large enough to be still on its way when the refusal is answered.
    with open(tmp_path / "zeros", "wb") as file:
        file.truncate(64 << 20)
    refused(proxied, "build", "--network", "host", str(tmp_path))
    refused(proxied, "build", "--cgroup-parent", "/x", str(tmp_path))
    refused(proxied, "build", "--security-opt", "seccomp=unconfined", str(tmp_path))


def test_volumes(proxied):
    refused(proxied, "volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/", "v")
    refused(proxied, "volume", "create", "-o", "type=ext4", "-o", "device=/dev/vda", "v")
    refused(proxied, "volume", "create", "-d", "other", "v")


def test_networks(proxied):
    for driver in ("macvlan", "ipvlan", "host", "other"):
        refused(proxied, "network", "create", "-d", driver, "n")


def test_swarm_and_plugins(proxied):
    refused(proxied, "swarm", "init")
    refused(proxied, "plugin", "install", "--grant-all-permissions", "some/plugin")
    refused(proxied, "plugin", "disable", "some/plugin")


def test_import_by_url(proxied):
    refused(proxied, "import", "http://127.0.0.1:9/root.tar", "x:1")


def test_ryuk_is_told_what_to_do(proxied):
    """Testcontainers binds the socket by default; the refusal names its switch."""
    result = proxied.docker("run", "--rm", "-v", "/var/run/docker.sock:/var/run/docker.sock",
                            IMAGE, "true", check=False)
    assert "TESTCONTAINERS_RYUK_DISABLED" in result.stderr
