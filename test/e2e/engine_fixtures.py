"""Fixtures of every suite with a real engine: its certificates, and the engine itself."""

import os

import pytest

from docker_engine import DOCKER, Engine, make_image, serve_registry
from proxy_process import make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


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
    with serve_registry(engine, tmp_path_factory.mktemp("registry")) as name:
        yield name
