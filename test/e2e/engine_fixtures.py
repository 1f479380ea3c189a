"""Fixtures of every suite with a real engine: its certificates, and the engine itself."""

import os
import shutil
import subprocess

import pytest

from docker_engine import DOCKER, Engine, make_image
from proxy_process import REPOSITORY
from recorder import wait_until


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    subprocess.run([REPOSITORY / "tools/test-certs", directory], check=True,
                   stdout=subprocess.DEVNULL)
    return directory


@pytest.fixture(scope="session")
def engine(tmp_path_factory, certificates):
    if not os.access(DOCKER, os.X_OK):
        pytest.skip(f"{DOCKER} is not installed")
    directory = tmp_path_factory.mktemp("engine")
    engine = Engine(directory, certificates)
    try:
        make_image(engine, directory)
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def registry(engine, tmp_path_factory):
    """Debian's registry on the loopback of the engine's own network namespace."""
    program = shutil.which("docker-registry")
    if not program:
        pytest.skip("docker-registry is not installed")
    directory = tmp_path_factory.mktemp("registry")
    (directory / "config.yml").write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
        "http: {addr: '127.0.0.1:5000'}\n")
    log = open(directory / "log", "wb")
    process = subprocess.Popen(["nsenter", "-t", str(engine.pid), "-n", program, "serve",
                                str(directory / "config.yml")], stdout=log, stderr=log)

    def answers():
        assert process.poll() is None, (directory / "log").read_text()
        return subprocess.run(["nsenter", "-t", str(engine.pid), "-n", "/usr/bin/python3", "-c",
                               "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/v2/')"],
                              capture_output=True).returncode == 0
    try:
        wait_until(answers, 20, "the registry")
        yield "127.0.0.1:5000"
    finally:
        process.terminate()
        process.wait()
        log.close()
