"""The installed units under a real systemd: activation, readiness, watchdog, credentials, rights.

systemd is booted in namespaces of its own (see systemd-boot), which takes root, unshare, and a kernel
that mounts overlays there."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import need
from proxy_process import REPOSITORY, sanitizer

HERE = Path(__file__).resolve().parent
PLAIN_TARGETS = ("sysinit.target", "basic.target", "sockets.target", "shutdown.target",
                 "network.target", "multi-user.target")
SHORT = ("[Service]\nWatchdogSec=2s\nRestartSec=100ms\nStandardError=append:/run/out/proxy\n"
         "StandardOutput=append:/run/out/proxy\n")

CHECK = """[Unit]
Description=Checks
DefaultDependencies=no
Wants=dind-proxy.socket engine.service
After=dind-proxy.socket engine.service
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {here}/systemd_checks.py {kind} {certificates}
ExecStopPost=/bin/systemctl --force --no-block exit 0
StandardOutput=file:/run/out/result
StandardError=file:/run/out/error
"""
ENGINE = """[Service]
Type=simple
ExecStart=/bin/sh -c '{command}'
StandardOutput=file:/run/out/engine
StandardError=file:/run/out/engine
"""
# The socket must be there, and the group's, before anybody is let near it.
UNIX_ENGINE = """rm -f /run/docker.sock; (until [ -S /run/docker.sock ]; do sleep 0.1; done; \\
 chgrp docker /run/docker.sock; chmod 0660 /run/docker.sock) & \\
 exec /usr/bin/python3 {engine} --listen unix:///run/docker.sock"""
TLS_ENGINE = """exec /usr/bin/python3 {engine} --listen tcp://127.0.0.1:12376 \\
 --certs {certificates}/dind-server"""
TLS_SOCKET = "[Socket]\nListenStream=\nListenStream=2376\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def boot(directory, installed, certificates, kind):
    """What the checks saw, and systemd's own words."""
    directory.chmod(0o755)
    shutil.copytree(installed, directory / "root")
    units = directory / "units"
    shutil.copytree(installed / "usr/lib/systemd/system", units)
    for name in PLAIN_TARGETS:
        write(units / name, "[Unit]\nDefaultDependencies=no\n")
    write(units / "check.target", "[Unit]\nWants=check.service\nDefaultDependencies=no\n")
    write(units / "check.service", CHECK.format(here=HERE, kind=kind,
                                                certificates=certificates))
    command = UNIX_ENGINE if kind == "unix" else TLS_ENGINE
    write(units / "engine.service", ENGINE.format(
        command=command.format(engine=REPOSITORY / "tools/engine/demo-engine",
                               certificates=certificates)))
    write(units / "dind-proxy.service.d/90-short.conf", SHORT)
    if kind == "tls":
        shutil.copy(installed / "usr/share/doc/dind-proxy/examples/tls.conf",
                    units / "dind-proxy.service.d/50-tls.conf")
        write(units / "dind-proxy.socket.d/tls.conf", TLS_SOCKET)
        # As the example says where they are, root's alone.
        for ours, theirs in (("server", "proxy"), ("client", "dind-client")):
            shutil.copytree(certificates / theirs, directory / "etc/dind-proxy" / ours)
        write(directory / "etc/dind-proxy/dind-proxy.env",
              "DIND_PROXY_UPSTREAM=tcp://127.0.0.1:12376\n")
    (directory / "out").mkdir()
    result = subprocess.run(
        ["timeout", "-s", "KILL", "60", "unshare", "--fork", "--pid", "--kill-child=KILL",
         "--mount", "--net", "--ipc", "--uts", HERE / "systemd-boot", directory],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    said = result.stdout + result.stderr
    out = directory / "out"
    words = "\n".join(f"--- {p.name}\n{p.read_text(errors='replace')[-3000:]}"
                      for p in sorted(out.iterdir())) + f"\n--- systemd\n{said[-6000:]}"
    if not (out / "error").exists():
        pytest.skip(f"systemd cannot be booted in namespaces here: {said.strip()[-300:]}")
    text = (out / "result").read_text()
    assert text, words
    return json.loads(text), words


@pytest.fixture(scope="module", params=("unix", "tls"))
def seen(request, installed, certificates, tmp_path_factory):
    need("unshare", "systemd-sysusers", "systemctl")
    if os.geteuid() != 0:
        pytest.skip("booting systemd in namespaces needs root")
    if sanitizer():
        pytest.skip("the sanitizers need more than the unit allows")
    if not os.access("/lib/systemd/systemd", os.X_OK):
        pytest.skip("systemd is not installed")
    directory = Path("/var/tmp") / f"dind-proxy-systemd-{os.getpid()}-{request.param}"
    # Where PrivateTmp hides nothing that the units need, on a real file system: a lower layer.
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o755)
    copy = directory / "certificates"
    shutil.copytree(certificates, copy)
    try:
        result, words = boot(directory, installed, copy, request.param)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return result | {"kind": request.param, "words": words}


def test_the_first_client_starts_it_and_is_served(seen):
    assert seen["before"] == "inactive", seen["words"]
    assert seen["ping"] == "HTTP/1.1 200 OK", seen["words"]
    assert seen["started"]["ActiveState"] == "active", seen["words"]
    assert seen["started"]["Type"] == "notify"


def test_the_socket_is_the_groups(seen):
    if seen["kind"] != "unix":
        pytest.skip("no socket file with tcp")
    mode, owner, group = seen["socket"]
    assert (mode, owner) == (0o660, 0)
    assert group != 0
    assert not seen["socket_file_left"]


def test_the_process_has_no_rights(seen):
    process = seen["process"]
    assert "0" not in process["Uid"]
    assert int(process["CapEff"][0], 16) == int(process["CapBnd"][0], 16) == 0
    assert process["NoNewPrivs"] == ["1"]
    assert process["Seccomp"] == ["2"]


def test_it_reloads_and_goes_on(seen):
    assert seen["reload"] == "", seen["words"]
    assert seen["reload_logged"], seen["words"]
    assert seen["reloaded"]["ActiveState"] == "active", seen["words"]
    assert seen["reloaded"]["MainPID"] == seen["started"]["MainPID"]
    assert seen["ping_after_reload"] == "HTTP/1.1 200 OK", seen["words"]
    assert "level=info event=reload" in seen["words"], seen["words"]


def test_the_watchdog_is_fed_and_ends_a_proxy_that_hangs(seen):
    assert seen["watchdog_fed"], seen["words"]
    assert seen["restarted"], seen["words"]
    assert seen["ping_after_restart"] == "HTTP/1.1 200 OK", seen["words"]
    assert seen["after_restart"]["MainPID"] != seen["started"]["MainPID"]


def test_it_stops_in_good_order(seen):
    assert seen["stopped"]["ActiveState"] == "inactive", seen["words"]
    assert seen["stopped"]["Result"] == "success", seen["words"]
    assert seen["stopped"]["ExecMainStatus"] == "0", seen["words"]


def test_the_unit_lets_it_confine_itself(seen):
    """Whatever this kernel has of it; the unit's own filter forbids none."""
    line = next(x for x in seen["words"].splitlines() if "event=sandbox" in x)
    assert "no_new_privileges=on no_core_dumps=on no_capabilities=on" in line, line
    assert "seccomp=on" in line and "not permitted" not in line, line
