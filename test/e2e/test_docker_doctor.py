"""dind-proxy doctor in front of a real dockerd and its containerd."""

import re
import subprocess

import pytest

from certs_world import World
from proxy_process import binary


@pytest.fixture(scope="module", params=["split", "shared"])
def world(request, tmp_path_factory):
    made = World(tmp_path_factory.mktemp(request.param), request.param)
    made.layout = request.param
    yield made
    made.stop()


def doctor(world, *options, **environment):
    """On this machine's network, which is not looked at but for the ports of this test."""
    port = world.engine.tcp.rpartition(":")[2]
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]
    result = subprocess.run(
        [*hidden, binary(), "doctor", "--engine", "127.0.0.1", "--port", port, "--timeout", "1s",
         *options], env=world.proxied.environment | environment, capture_output=True, text=True,
        timeout=120)
    return result, next(line for line in result.stdout.splitlines() if f"127.0.0.1:{port}" in line)


def test_engine_over_tls(world):
    result, door = doctor(world)
    assert "the filter answers\n" in result.stdout
    if world.layout == "shared":
        assert result.returncode == 1, result
        assert door.startswith("OPEN") and "over TLS, with the certificate in" in door
    else:
        # Go's server sends an alert and closes. In TLS 1.3 our request may be on its way by then, and
        # the reset that answers it takes an unread alert away.
        assert door.startswith("refuses"), result
        assert re.search(r"\((bad_certificate|unknown_ca|it closed the connection)\)", door), door
        assert result.returncode == 0, result


def test_engine_and_containerd_by_socket(world):
    containerd = world.engine.directory / "exec/containerd/containerd.sock"
    if not containerd.exists():
        pytest.skip(f"this dockerd keeps no containerd of its own at {containerd}")
    result, _ = doctor(world, "--probe", world.engine.unix, "--probe", f"unix://{containerd}")
    assert result.returncode == 1
    assert f"OPEN     {world.engine.unix}: an engine answers\n" in result.stdout, result
    assert f"OPEN     unix://{containerd}: containerd or BuildKit answers\n" in result.stdout, result


def test_docker_host_is_the_engine(world):
    result, door = doctor(world, DOCKER_HOST=world.engine.unix)
    assert result.returncode == 1 and f"OPEN     {world.engine.unix}: an engine answers\n" in \
        result.stdout, result
