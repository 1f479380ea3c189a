"""Fixtures: certificates of both hops, and rigs."""

import os
import resource
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from proxy_process import binary, make_certificates, sanitizer  # noqa: E402
from recorder import answer_ok  # noqa: E402
from rig import HOPS, Rig  # noqa: E402


def pytest_report_header(config):
    return f"dind-proxy under test: {binary()} (sanitizer: {sanitizer() or 'none'})"


def pytest_collection_modifyitems(config, items):
    """DIND_PROXY_ONLY=threads keeps the tests marked so: what TSan is for. DIND_PROXY_ONLY=ktls
    keeps those over mutual TLS; of the mixed pairs of hops only the one that moves most."""
    def over_tls(item):
        return "mtls-mtls" in item.name or ("mtls" in item.name and "bulk_path" in item.nodeid)

    only = os.environ.get("DIND_PROXY_ONLY")
    if only:
        chosen = [i for i in items
                  if i.get_closest_marker(only) and (only != "ktls" or over_tls(i))]
        config.hook.pytest_deselected(items=[i for i in items if i not in chosen])
        items[:] = chosen


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def make_rig(tmp_path, certificates):
    """make_rig(hops, *options): a fresh recorder and proxy; all are stopped and checked at the end
    of the test."""
    rigs = []

    def make(hops=("unix", "unix"), *options, handler=answer_ok, listener_options="", prefix=()):
        directory = tmp_path / str(len(rigs))
        directory.mkdir()
        rigs.append(Rig(directory, certificates, hops, options, handler, listener_options, prefix))
        return rigs[-1]

    yield make
    failures = []
    for rig in rigs:
        try:
            rig.close()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


@pytest.fixture(params=HOPS, ids="-".join)
def hops(request):
    return request.param


@pytest.fixture
def rig(make_rig, hops):
    """A rig with one worker over every pair of transports."""
    return make_rig(hops, "--workers", "1")


@pytest.fixture
def unix_rig(make_rig):
    return make_rig(("unix", "unix"), "--workers", "1")


@pytest.fixture(scope="session", autouse=True)
def many_files():
    """The tests of limits open many connections from this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
