"""Run by systemd inside of the namespaces of systemd-boot: `systemd_checks.py KIND CERTIFICATES`.
Prints one JSON object of what was seen."""

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

SERVICE = "dind-proxy.service"
PROPERTIES = ("ActiveState", "SubState", "Result", "NRestarts", "MainPID",
              "WatchdogTimestampMonotonic", "NotifyAccess", "Type", "ExecMainStatus")


def systemctl(*words):
    result = subprocess.run(["systemctl", "--no-pager", *words], capture_output=True, text=True)
    return result.stdout + result.stderr


def show(unit=SERVICE):
    text = systemctl("show", unit, "-p", ",".join(PROPERTIES))
    return dict(line.partition("=")[::2] for line in text.splitlines())


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            return value
        time.sleep(0.05)
    return value


def ping(kind, certificates):
    """The status line of GET /_ping."""
    if kind == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect("/run/dind-proxy.sock")
    else:
        context = ssl.create_default_context(cafile=f"{certificates}/agent/ca.pem")
        context.load_cert_chain(f"{certificates}/agent/cert.pem", f"{certificates}/agent/key.pem")
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", 2376), 20),
                                server_hostname="localhost")
    with s:
        s.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
        reply = b""
        while chunk := s.recv(4096):
            reply += chunk
    return reply.split(b"\r\n")[0].decode()


def process(pid):
    status = dict(line.partition(":")[::2]
                  for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {key: status[key].split() for key in
            ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Groups")}


def engine_is_there(kind):
    """With the rights it is given after it listens."""
    try:
        if kind == "unix":
            return stat.S_IMODE(os.stat("/run/docker.sock").st_mode) == 0o660
        socket.create_connection(("127.0.0.1", 12376), 5).close()
        return True
    except OSError:
        return False


def run(kind, certificates):
    assert until(lambda: engine_is_there(kind)), "the engine did not start"
    seen = {"before": show()["ActiveState"]}
    if kind == "unix":
        info = os.stat("/run/dind-proxy.sock")
        seen["socket"] = [stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid]
    seen["ping"] = ping(kind, certificates)
    seen["started"] = show()
    pid = int(seen["started"]["MainPID"])
    seen["process"] = process(pid)
    first = seen["started"]["WatchdogTimestampMonotonic"]
    seen["watchdog_fed"] = until(lambda: show()["WatchdogTimestampMonotonic"] not in ("0", first))
    seen["reload"] = systemctl("reload", SERVICE)
    seen["reload_logged"] = until(lambda: "event=reload" in Path("/run/out/proxy").read_text())
    seen["reloaded"] = until(lambda: show()["ActiveState"] == "active") and show()
    seen["ping_after_reload"] = ping(kind, certificates)
    # A proxy that hangs is killed and comes back; a client that connects meanwhile is served.
    os.kill(pid, signal.SIGSTOP)
    seen["restarted"] = until(lambda: show()["NRestarts"] == "1" and
                              show()["ActiveState"] == "active", 30)
    seen["ping_after_restart"] = ping(kind, certificates)
    seen["after_restart"] = show()
    # With its dependent socket first, or the next client would start it again.
    seen["stop"] = systemctl("stop", "dind-proxy.socket", SERVICE)
    seen["stopped"] = show()
    seen["socket_file_left"] = os.path.exists("/run/dind-proxy.sock")
    return seen


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:3])))
