"""Certificates that dind-proxy certs makes, in Docker's own hands: a dockerd and docker clients."""

import subprocess

import pytest

from docker_engine import DOCKER, SECOND_DOCKER, Engine, Proxied
from proxy_process import binary, clean_environment


class World:
    """An engine with dind's certificates and a proxy with its own, all made by one run."""

    def __init__(self, directory, layout):
        self.made = directory / "certs"
        subprocess.run([binary(), "certs", "--dir", self.made, "--layout", layout, "--proxy-san",
                        "127.0.0.1"], check=True, stdout=subprocess.DEVNULL,
                       env=clean_environment())
        # Under the names by which the fixtures know them.
        names = directory / "names"
        names.mkdir()
        for name, place in (("dind-server", "dind/server"), ("dind-client", "proxy/client"),
                            ("proxy", "proxy/server"), ("agent", "agent")):
            (names / name).symlink_to(self.made / place)
        self.engine = Engine(directory / "engine", names)
        try:
            (directory / "p").mkdir()
            self.proxied = Proxied(self.engine, names, directory / "p", "mtls-mtls")
        except BaseException:
            self.engine.stop()
            raise

    def past_the_proxy(self, files, client):
        """Docker's client with these files and the engine's CA, straight to the engine."""
        folder = self.proxied.directory / f"direct-{files.parent.name}-{files.name}"
        if not folder.exists():
            folder.mkdir()
            for name, source in (("cert.pem", files), ("key.pem", files),
                                 ("ca.pem", self.made / "dind/client")):
                (folder / name).symlink_to(source / name)
        environment = self.proxied.environment | {"DOCKER_HOST": self.engine.tcp,
                                                  "DOCKER_CERT_PATH": str(folder)}
        return subprocess.run([client, "version", "--format", "{{.Server.Version}}"], text=True,
                              env=environment, capture_output=True, timeout=60)

    def stop(self):
        self.proxied.proxy.stop()
        self.engine.stop()


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
