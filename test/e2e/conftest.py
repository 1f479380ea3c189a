"""Fixtures: a real engine, one proxy a pair of transports, and Docker's own clients."""

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parents[1] / "blackbox")]

from docker_engine import Proxied  # noqa: E402
from engine_fixtures import certificates, engine, registry  # noqa: E402, F401
from proxy_process import binary  # noqa: E402


def pytest_report_header(config):
    return f"dind-proxy under test: {binary()}"


def pytest_collection_modifyitems(config, items):
    """DIND_PROXY_ONLY=ktls keeps the tests marked so, over mutual TLS."""
    if os.environ.get("DIND_PROXY_ONLY") == "ktls":
        chosen = [i for i in items if i.get_closest_marker("ktls") and "mtls-mtls" in i.name]
        config.hook.pytest_deselected(items=[i for i in items if i not in chosen])
        items[:] = chosen


KINDS = ("unix-unix", "mtls-mtls")


@pytest.fixture(scope="module", params=KINDS)
def proxied(request, engine, certificates, tmp_path_factory):
    """The default policy, over each pair of transports."""
    made = Proxied(engine, certificates, tmp_path_factory.mktemp("p"), request.param)
    yield made
    made.proxy.stop()


@pytest.fixture(params=KINDS)
def impatient(request, engine, certificates, tmp_path):
    """A proxy with timers far shorter than any silence in the tests that use it."""
    made = Proxied(engine, certificates, tmp_path, request.param,
                   ["--head-timeout", "500ms", "--idle-timeout", "500ms",
                    "--handshake-timeout", "2s", "--connect-timeout", "2s"])
    yield made
    made.proxy.stop()


@pytest.fixture
def name(proxied, request):
    """A container name of the test's own; the container is removed at the end."""
    value = "e2e-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[:50]
    yield value
    proxied.engine.docker("rm", "-f", "-v", value)
