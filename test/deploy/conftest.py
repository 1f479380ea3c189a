"""Fixtures of the deployment tests: an engine of our own, and the image archive."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEST = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEST / "deploy"), str(TEST / "e2e"), str(TEST / "blackbox")]

from engine_fixtures import certificates, engine  # noqa: E402, F401
from proxy_process import REPOSITORY, binary  # noqa: E402

DEPLOY = REPOSITORY / "tools/deploy"
BUILDS = {"amd64": "static", "arm64": "static-arm64"}


def pytest_report_header(config):
    return f"dind-proxy under test: {binary()}"


@pytest.fixture(scope="session")
def builds():
    """{architecture: the static build's directory}; the tests that use it need all of them."""
    directories = {arch: REPOSITORY / "build" / name for arch, name in BUILDS.items()}
    for arch, directory in directories.items():
        if not (directory / "dind-proxy").exists():
            pytest.skip(f"there is no static binary for {arch}: {directory.name} is not built")
    native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True)
    if native.stdout.strip() != "amd64":
        pytest.skip("the presets of these tests are those of an amd64 machine")
    return directories


@pytest.fixture(scope="session")
def build_image(builds):
    """build_image(file): the archive of what is built already; the report's lines."""
    def build(output, **environment):
        result = subprocess.run(
            [DEPLOY / "image/build-image", "--no-build", "--output", output],
            capture_output=True, text=True, env=os.environ | environment)
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()
    return build


@pytest.fixture(scope="session")
def archive(build_image, tmp_path_factory):
    output = tmp_path_factory.mktemp("image") / "dind-proxy.tar"
    build_image(output)
    return output


@pytest.fixture(scope="session")
def image(engine, archive):
    """The name of this machine's image, loaded into the engine from the archive."""
    result = engine.docker("load", "-i", archive, text=True)
    assert result.returncode == 0, result.stderr
    loaded = {line.rpartition("Loaded image: ")[2] for line in result.stdout.splitlines()}
    names = [name for name in loaded if name.endswith("-amd64")]
    assert len(names) == 1, result.stdout
    return names[0]


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The build of the program under test, installed with the prefix /usr below this folder."""
    build = Path(binary()).resolve().parent
    if not (build / "CMakeCache.txt").exists():
        pytest.skip(f"{build} is no build tree to install from")
    top = tmp_path_factory.mktemp("install")
    # The prefix is part of the configuration, so the tree gets one of its own.
    configured = top / "build"
    cache = (build / "CMakeCache.txt").read_text()
    deps = next(line.partition("=")[2] for line in cache.splitlines()
                if line.startswith("DIND_PROXY_DEPS:"))
    result = subprocess.run(
        ["cmake", "-S", REPOSITORY, "-B", configured, "-G", "Ninja", "-DCMAKE_INSTALL_PREFIX=/usr",
         f"-DDIND_PROXY_DEPS={deps}", "-DDIND_PROXY_TESTS=OFF"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    # What is installed is what is under test, not another build of it.
    shutil.copy2(binary(), configured / "dind-proxy")
    result = subprocess.run(["cmake", "--install", configured], capture_output=True, text=True,
                            env=os.environ | {"DESTDIR": str(top / "root")})
    assert result.returncode == 0, result.stderr
    return top / "root"
