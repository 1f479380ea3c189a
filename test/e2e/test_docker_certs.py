"""Certificates that dind-proxy certs makes, in Docker's own hands: a dockerd and docker clients."""

import subprocess

import pytest

from certs_world import World
from docker_engine import DOCKER, SECOND_DOCKER
from proxy_process import binary, clean_environment


@pytest.fixture(scope="module", params=["split", "shared"])
def world(request, tmp_path_factory):
    made = World(tmp_path_factory.mktemp(request.param), request.param)
    made.layout = request.param
    yield made
    made.stop()


@pytest.fixture(params=[DOCKER, SECOND_DOCKER])
def client(request):
    try:
        subprocess.run([request.param, "--version"], check=True, capture_output=True)
    except OSError:
        pytest.skip(f"no docker client at {request.param}")
    return request.param


def test_through_the_proxy(world, client):
    version = world.proxied.docker("version", "--format", "{{.Server.Version}}", client=client)
    assert version.stdout.strip()
    result = world.proxied.docker("run", "--privileged", "x", client=client, check=False)
    assert "blocked by jailoc proxy" in result.stderr


def test_past_the_proxy(world, client):
    """The agent's certificate is worth something at the engine only in the layout that says so."""
    result = world.past_the_proxy(world.made / "agent", client)
    if world.layout == "shared":
        assert result.returncode == 0 and result.stdout.strip(), result
    else:
        assert result.returncode != 0, result
        # Go's names for the alerts that its server sends.
        assert "bad certificate" in result.stderr or "unknown certificate authority" in \
            result.stderr, result
    for other in ("proxy/client", "dind/client"):
        assert world.past_the_proxy(world.made / other, client).returncode == 0


def test_renewed_while_the_engine_runs(world, client):
    """New leaves of the same CAs are good at once, on both sides."""
    subprocess.run([binary(), "certs", "--dir", world.made, "--layout", world.layout, "--proxy-san",
                    "127.0.0.1", "--renew", "certs"], check=True, stdout=subprocess.DEVNULL,
                   env=clean_environment())
    assert world.proxied.docker("version", client=client).returncode == 0
    assert world.past_the_proxy(world.made / "proxy/client", client).returncode == 0
