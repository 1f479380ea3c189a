"""The README's first command, with the stand-in engine, which every machine can run."""

import os
import shutil
import subprocess

import pytest

from proxy_process import REPOSITORY, sanitizer


@pytest.fixture
def quickstart(tmp_path):
    """Runs it as somebody would whose shell is set up for another proxy."""
    if sanitizer():
        pytest.skip("the quickstart runs its own release build, which its own suite tests")
    for program in ("docker", "busybox", "openssl", "cmake"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "DIND_PROXY_POLICY": "allowlist",
                   "DIND_PROXY_LOG_LEVEL": "error", "DIND_PROXY_MESSAGE_PREFIX": "no",
                   "DIND_PROXY_LISTEN": "tcp://127.0.0.1:1", "DOCKER_HOST": "tcp://127.0.0.1:1",
                   "DOCKER_TLS_VERIFY": "1"}
    return subprocess.run(
        [REPOSITORY / "tools" / "quickstart", "--no-install", "--engine", "demo"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


def test_quickstart_shows_what_passes_and_what_does_not(quickstart, tmp_path):
    shown = quickstart.stdout
    assert quickstart.returncode == 0, shown + quickstart.stderr
    assert "DEMO engine" in shown  # it says what it is
    assert "hello through the proxy" in shown
    assert "Successfully built" in shown
    for rule in ("create.privileged", "create.network-host", "create.bind",
                 "endpoint.exec-create"):
        assert f"({rule})" in shown, rule
    assert "verdict=deny" in shown
    assert list(tmp_path.iterdir()) == []  # it has taken its folder away
