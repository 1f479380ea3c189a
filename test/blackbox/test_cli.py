"""The command line of the real binary: options, environment, commands, messages, exit statuses."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest

import kernel_tls
from proxy_process import Proxy, binary, clean_environment, free_port
from recorder import wait_until

OK, FAILED, USAGE = 0, 1, 2


class Result:
    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout
        self.error = process.stderr

    def __repr__(self):
        return f"exit status {self.status}\n--- out\n{self.out}\n--- error\n{self.error}"


def run(*args, env=None, stdin="", program=None, timeout=30):
    return Result(subprocess.run(
        [program or binary(), *map(str, args)], input=stdin, capture_output=True, text=True,
        env=clean_environment() | {k: str(v) for k, v in (env or {}).items()}, timeout=timeout))


def fails(result, *parts, status=USAGE):
    """A failure says one line, on standard error only, with all of `parts`."""
    assert result.status == status, result
    assert result.out == "", result
    lines = result.error.splitlines()
    assert len(lines) == 1 and lines[0].startswith("dind-proxy: "), result
    for part in parts:
        assert str(part) in lines[0], f"{part!r} is missing\n{result}"


def effective(*args, env=None):
    """What --check-config prints: {option: [(value, source), …]}."""
    result = run("--check-config", *args, env=env)
    assert result.status == OK, result
    options = {}
    for line in result.out.splitlines():
        name, value, source = re.fullmatch(r"--([a-z-]+)=(.*?) +# (.*)", line).groups()
        options.setdefault(name, []).append((value, source))
    return options


def server_files(folder):
    return ["--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem",
            "--tls-client-ca", folder / "ca.pem"]


# Help and version

def help_options():
    return re.findall(r"^  --([a-z-]+)(?: [A-Z]+)?    \((DIND_PROXY_[A-Z_]+)", run("--help").out,
                      re.MULTILINE)


def test_help():
    result = run("--help")
    assert result.status == OK and result.error == "", result
    assert result.out.startswith("Usage: dind-proxy ")
    assert "Exit status:" in result.out
    assert max(map(len, result.out.splitlines())) <= 100
    assert len(help_options()) >= 30
    for name, variable in help_options():
        assert variable == "DIND_PROXY_" + name.upper().replace("-", "_")
    # Help helps even when all else is wrong.
    assert run("--workers", "x", "--help", env={"DIND_PROXY_LISTEN": "x"}).out == result.out
    assert run("-h").out == result.out


def test_every_option_of_help_exists():
    """A value that is nonsense for most is refused in the option's name, or is in effect."""
    def refused_or_in_effect(result, name, source, label):
        assert re.search(rf"^dind-proxy: {source}[ :=]", result.error) or \
            re.search(f"^--{name}=/no/such .*# {label}$", result.out, re.MULTILINE), result

    for name, variable in help_options():
        refused_or_in_effect(run("--check-config", f"--{name}=/no/such"), name, f"--{name}",
                             "command line")
        refused_or_in_effect(run("--check-config", env={variable: "/no/such"}), name, variable,
                             variable)


def test_version():
    result = run("--version")
    assert result.status == OK and result.error == "", result
    lines = result.out.splitlines()
    for line, name in zip(lines, ("dind-proxy", "wolfSSL", "cJSON", "llhttp", "nghttp2")):
        assert re.fullmatch(rf"{name} \d+\.\d+\.\d+\S*", line), result
    assert "libc" in lines[5]
    assert lines[6].startswith("kernel TLS: TLS 1.2: " if kernel_tls.available()
                               else "kernel TLS is not available: "), result
    assert re.fullmatch(r"Landlock (version [1-9]\d*|is not available: .+)", lines[7]), result
    assert re.fullmatch(r"seccomp is (available|not available: .+)", lines[8]), result


def test_full_output_device():
    with open("/dev/full", "wb") as full:
        process = subprocess.run([binary(), "--help"], stdout=full, stderr=subprocess.PIPE,
                                 env=clean_environment())
    assert process.returncode == FAILED
    assert b"standard output" in process.stderr


# Mistakes on the command line and in the environment

@pytest.mark.parametrize("args, parts", [
    (["--lisen", "x"], ['unknown option "--lisen"', "did you mean --listen?"]),
    (["--upstream-tls-cerf=x"], ["did you mean --upstream-tls-cert?"]),
    (["-listen", "x"], ["did you mean --listen?"]),
    (["--frobnicate"], ["unknown option", "--help"]),
    (["serve"], ['unknown command "serve"']),
    (["explan", "GET", "/"], ["did you mean explain?"]),
    (["explain", "GET"], ["explain needs METHOD TARGET"]),
    (["explain", "GET", "/info", "-", "more"], ['unexpected argument "more"']),
    (["--listen"], ["--listen needs a value: URL"]),
    (["--check-config", "--healthcheck"], ["another command"]),
    (["--workers", "0"], ["--workers 0: must be a number from 1 to 1024"]),
    (["--workers", "two"], ["--workers two: must be a number"]),
    (["--idle-timeout", "30"], ["--idle-timeout 30: must be a time", "ms, s, m or h"]),
    (["--max-header-bytes", "2m"], ["--max-header-bytes 2m: must be a size from 4k to 1m"]),
    (["--policy", "strict"], ["--policy strict: must be one of: blocklist, allowlist"]),
    (["--buildkit", "allow"], ["--buildkit allow: must be one of: inspect, deny, opaque"]),
    (["--log-level", "all"], ["--log-level all: must be one of: debug, info, warning, error"]),
    (["--api-floor", "1.10"], ["--api-floor 1.10: must be an API version from 1.24"]),
    (["--allow-bind", "src"], ["--allow-bind src: must be an absolute path"]),
    (["--message-prefix", "a\nb"], ["control characters"]),
    (["--insecure-plain-tcp=perhaps"], ["--insecure-plain-tcp perhaps: must be true or false"]),
    (["--listen", "http://x"], ["--listen http://x: ", "neither unix:///path nor tcp://host:port"]),
    (["--listen", "unix://x"], ["absolute path"]),
    (["--listen", "unix:///" + "x" * 200], ["201 bytes long", "107"]),
    (["--listen", "tcp://:2375"], ["no host"]),
    (["--listen", "tcp://::1:2375"], ["brackets"]),
    (["--listen", "tcp://127.0.0.1:70000"], ["a port from 1 to 65535"]),
    (["--listen", "unix:///x?mode=999"], ["mode must be octal"]),
    (["--listen", "unix:///x?owner=nobody-knows"], ['there is no user "nobody-knows"']),
    (["--listen", "unix:///x?group=nobody-knows"], ['there is no group "nobody-knows"']),
    (["--listen", "tcp://127.0.0.1?mode=0600"], ["mode is for unix sockets only"]),
    (["--listen", "unix:///x?umask=0"], ['unknown parameter "umask"']),
    (["--listen", "tcp://127.0.0.1?tls=on"], ["the proxy's certificate (--tls-cert)"]),
    (["--listen", "tcp://127.0.0.1", "--tls-client-ca", "x"], ["(--tls-cert)"]),
    (["--listen", "unix:///x", "--upstream", "unix:///x"], ["--listen and --upstream are the same"]),
    (["--upstream", "ssh://x"], ["--upstream ssh://x: "]),
    (["--upstream", "unix:///x", "--upstream-tls-ca", "x"], ["--upstream-tls-ca", "unix socket"]),
    (["--upstream", "tcp://x", "--upstream-tls-cert", "x", "--upstream-tls-key", "x"],
     ["--upstream-tls-cert needs --upstream-tls-ca too"]),
    (["--upstream", "tcp://x", "--upstream-tls-ca", "x", "--upstream-tls-cert", "x"],
     ["--upstream-tls-cert needs --upstream-tls-key too"]),
    (["--health-cert", "x"], ["--health-cert needs --health-key too"]),
    (["--listen", "tcp://no-such-host.invalid:1"], ["no-such-host.invalid"]),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None)
def test_mistakes(args, parts):
    fails(run(*args), *parts)


@pytest.mark.parametrize("env, parts", [
    ({"DIND_PROXY_WORKERS": "x"}, ["DIND_PROXY_WORKERS=x: must be a number"]),
    ({"DIND_PROXY_LISTEN": "unix:///a,x"}, ["DIND_PROXY_LISTEN=x: "]),
    ({"DIND_PROXY_LISTEN": ","}, ["DIND_PROXY_LISTEN names no address"]),
    ({"DIND_PROXY_INSECURE_PLAIN_TCP": "2"}, ["DIND_PROXY_INSECURE_PLAIN_TCP=2: "]),
    ({"DIND_PROXY_UPSTREAM": "fd://"}, ["DIND_PROXY_UPSTREAM=fd://: "]),
    ({"DOCKER_HOST": "ssh://x"}, ["DOCKER_HOST=ssh://x: "]),
    ({"DOCKER_HOST": "tcp://x", "DOCKER_CERT_PATH": "/no/such"},
     ["DOCKER_CERT_PATH/ca.pem /no/such/ca.pem: No such file"]),
    ({"DIND_PROXY_UPSTREAM": "tcp://x", "DIND_PROXY_UPSTREAM_TLS_CA": "/no/such"},
     ["DIND_PROXY_UPSTREAM_TLS_CA /no/such: No such file"]),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, dict) else None)
def test_mistakes_in_the_environment(env, parts):
    fails(run("--check-config", env=env), *parts)


# What counts

def test_precedence():
    args = ["--upstream", "unix:///from-option"]
    env = {"DOCKER_HOST": "unix:///from-docker"}
    assert effective()["upstream"] == [("unix:///var/run/docker.sock", "default")]
    assert effective(env=env)["upstream"] == [("unix:///from-docker", "DOCKER_HOST")]
    env["DIND_PROXY_UPSTREAM"] = "unix:///from-variable"
    assert effective(env=env)["upstream"] == [("unix:///from-variable", "DIND_PROXY_UPSTREAM")]
    assert effective(*args, env=env)["upstream"] == [("unix:///from-option", "command line")]
    # An empty variable is none.
    assert effective(env={"DIND_PROXY_WORKERS": "", "DOCKER_HOST": ""})["workers"][0][1] == "default"


def test_lists_in_the_environment():
    env = {"DIND_PROXY_LISTEN": "unix:///a,tcp://127.0.0.1", "DIND_PROXY_ALLOW_BIND": "/x,/y/**"}
    options = effective(env=env)
    assert [value for value, _ in options["listen"]] == [
        "unix:///a?tls=off&mode=0660", "tcp://127.0.0.1:2375?tls=off"]
    assert [value for value, _ in options["allow-bind"]] == ["/x", "/y/**"]
    # The command line replaces the list; there a comma is part of the path.
    options = effective("--listen", "unix:///b", "--allow-bind", "/x,y", env=env)
    assert [value for value, _ in options["listen"]] == ["unix:///b?tls=off&mode=0660"]
    assert [value for value, _ in options["allow-bind"]] == ["/x,y"]


def test_docker_variables(certificates):
    folder = certificates / "dind-client"
    env = {"DOCKER_HOST": "tcp://127.0.0.1", "DOCKER_CERT_PATH": folder}
    for more in ({}, {"DOCKER_TLS_VERIFY": "1"}):
        options = effective(env=env | more)
        assert options["upstream"] == [("tcp://127.0.0.1:2376", "DOCKER_HOST")]
        for option, name in (("ca", "ca"), ("cert", "cert"), ("key", "key")):
            assert options[f"upstream-tls-{option}"] == [
                (f"{folder}/{name}.pem", f"DOCKER_CERT_PATH/{name}.pem")]
    # Files given by name replace all three; a unix socket needs none.
    options = effective("--upstream-tls-ca", folder / "ca.pem", env=env)
    assert "upstream-tls-key" not in options
    options = effective("--upstream", "unix:///x", env=env)
    assert "upstream-tls-ca" not in options
    # Without DOCKER_CERT_PATH: where the docker CLI looks.
    env = {"DOCKER_HOST": "tcp://x", "DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": folder}
    assert effective(env=env)["upstream-tls-key"][0][0] == f"{folder}/key.pem"


def test_workers_are_the_usable_processors():
    processors = os.sched_getaffinity(0)
    one = min(processors)
    result = subprocess.run(["taskset", "-c", str(one), binary(), "--check-config"],
                            capture_output=True, text=True, env=clean_environment())
    assert "--workers=1 " in result.stdout, result
    assert effective()["workers"] == [(str(len(processors)), "default")]


def test_check_config_round_trip(certificates, tmp_path):
    args = ["--listen", "tcp://127.0.0.1:1234", "--listen", f"unix://{tmp_path}/s?mode=0600",
            *server_files(certificates / "proxy"), "--policy", "allowlist", "--idle-timeout", "90s",
            "--message-prefix", "not here"]
    first = effective(*args)
    again = [f"--{name}={value}" for name, values in first.items() for value, _ in values]
    second = effective(*again)
    assert {k: [v for v, _ in values] for k, values in first.items()} == \
           {k: [v for v, _ in values] for k, values in second.items()}
    assert ("tcp://127.0.0.1:1234?tls=on", "command line") in first["listen"]
    assert not (tmp_path / "s").exists()


# Key material

@pytest.fixture
def keys(certificates, tmp_path):
    """A private copy of the server's files, to be spoilt."""
    return shutil.copytree(certificates / "proxy", tmp_path / "keys")


def refused_at_start(args, *parts):
    """--check-config and a real start refuse alike; the key's text is in no message."""
    for command in (["--check-config"], []):
        result = run(*command, *args)
        fails(result, *parts)
        assert "PRIVATE KEY" not in result.error


def listening(keys):
    return ["--listen", f"tcp://127.0.0.1:{free_port()}", *server_files(keys)]


def test_key_open_to_everybody(keys):
    (keys / "key.pem").chmod(0o644)
    refused_at_start(listening(keys), f"--tls-key {keys}/key.pem: ", "(mode 0644)", "chmod 0600")


def test_key_of_another_certificate(keys, certificates):
    shutil.copy(certificates / "stranger/key.pem", keys / "key.pem")
    refused_at_start(listening(keys), "--tls-key: ", f"{keys}/key.pem",
                     f"{keys}/cert.pem")


@pytest.mark.parametrize("name, option", [
    ("cert.pem", "--tls-cert"), ("key.pem", "--tls-key"), ("ca.pem", "--tls-client-ca")])
def test_bad_server_file(keys, name, option):
    path = keys / name
    args = listening(keys)
    for text in ("", "no PEM\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        path.write_text(text)
        refused_at_start(args, f"{option}: ", path)
    path.unlink()
    refused_at_start(args, f"{option} {path}: No such file or directory")
    path.mkdir()
    refused_at_start(args, f"{option} {path}: not a regular file")
    path.rmdir()
    os.mkfifo(path)
    refused_at_start(args, f"{option} {path}: not a regular file")


@pytest.mark.parametrize("name, option", [
    ("cert.pem", "--upstream-tls-cert"), ("key.pem", "--upstream-tls-key"),
    ("ca.pem", "--upstream-tls-ca")])
def test_bad_upstream_file(keys, name, option, tmp_path):
    args = ["--listen", f"unix://{tmp_path}/s", "--upstream", "tcp://127.0.0.1:1",
            "--upstream-tls-cert", keys / "cert.pem", "--upstream-tls-key", keys / "key.pem",
            "--upstream-tls-ca", keys / "ca.pem"]
    path = keys / name
    path.write_text("no PEM\n")
    refused_at_start(args, f"{option}: ", path)
    path.unlink()
    refused_at_start(args, f"{option} {path}: No such file or directory")
    assert not (tmp_path / "s").exists()


def test_unreadable_key(keys):
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        pytest.skip("needs root and setpriv")
    (keys / "key.pem").chmod(0o600)
    for folder in [keys, *keys.parents][:4]:
        folder.chmod(folder.stat().st_mode | 0o055)
    command = ["--reuid", "65534", "--regid", "65534", "--clear-groups", binary(), "--check-config"]
    fails(run(*command, *listening(keys), program="setpriv"),
          f"--tls-key {keys}/key.pem: Permission denied")


# Plain TCP

@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "192.0.2.1"])
def test_plain_tcp_beyond_loopback(address):
    url = f"tcp://{address}:2375"
    for command in ([], ["--check-config"]):
        fails(run(*command, "--listen", url), f"--listen: {url}", "not loopback",
              "--insecure-plain-tcp")
    assert effective("--listen", url, "--insecure-plain-tcp")["insecure-plain-tcp"][0][0] == "true"
    assert effective(env={"DIND_PROXY_LISTEN": url, "DIND_PROXY_INSECURE_PLAIN_TCP": "1"})


def test_plain_tcp_by_name():
    fails(run("--check-config", "--listen", f"tcp://{socket.gethostname()}.invalid"), "--listen: ")
    effective("--listen", "tcp://localhost")


@pytest.mark.parametrize("mode", ["auto", "require", "off"])
def test_kernel_tls_mode(keys, mode, tmp_path):
    """What the kernel can do is said once; who requires it does not start without."""
    url = f"tcp://127.0.0.1:{free_port()}"
    options = ["--tls-cert", keys / "cert.pem", "--tls-key", keys / "key.pem",
               "--tls-client-ca", keys / "ca.pem", "--ktls", mode]
    if mode == "require" and not kernel_tls.available():
        fails(run("--listen", url, "--upstream", "unix:///nowhere", *map(str, options)),
              "--ktls require: ", status=FAILED)
        return
    proxy = Proxy([url], "unix:///nowhere", options, tmp_path / "log")
    try:
        lines = [line for line in proxy.log_lines() if "event=ktls" in line]
        assert len(lines) == (0 if mode == "off" else 1), proxy.log()
        if mode != "off" and not kernel_tls.available():
            assert "TLS stays in user space: " in lines[0]
    finally:
        proxy.stop()


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fails(run("--listen", f"tcp://127.0.0.1:{port}"), f"tcp://127.0.0.1:{port}", "in use",
              status=FAILED)


# Unix sockets

def start(tmp_path, url, *args, name="log"):
    return Proxy([url], f"unix://{tmp_path}/none", ["--workers", "1", *args], tmp_path / name)


def test_socket_mode_and_end(tmp_path):
    path = tmp_path / "s"
    old = os.umask(0o077)
    try:
        proxy = start(tmp_path, f"unix://{path}?mode=0646")
    finally:
        os.umask(old)
    status = path.stat()
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o646
    proxy.stop()
    assert not path.exists()
    assert {p.name for p in tmp_path.iterdir()} == {"log"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_socket_owner(tmp_path):
    path = tmp_path / "s"
    proxy = start(tmp_path, f"unix://{path}?owner=daemon&group=4242")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1, 4242, 0o660)
    proxy.stop()


def test_dead_socket_is_replaced(tmp_path):
    path = tmp_path / "s"
    proxy = start(tmp_path, f"unix://{path}")
    proxy.process.kill()
    proxy.wait()
    proxy.log_file.close()
    assert path.is_socket()
    proxy = start(tmp_path, f"unix://{path}", name="log2")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    proxy.stop()


def test_live_socket_is_left_alone(tmp_path):
    path = tmp_path / "s"
    proxy = start(tmp_path, f"unix://{path}")
    inode = path.stat().st_ino
    fails(run("--listen", f"unix://{path}"), path, "another process is listening", status=FAILED)
    assert path.stat().st_ino == inode
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    proxy.stop()


def test_other_file_is_left_alone(tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    fails(run("--listen", f"unix://{path}"), path, "not a socket", status=FAILED)
    assert path.read_text() == "precious"
    fails(run("--listen", f"unix://{tmp_path}/none/s"), f"{tmp_path}/none/",
          "No such file or directory", status=FAILED)


def test_closed_standard_streams(tmp_path):
    """No socket may get the number of a standard stream."""
    path = tmp_path / "s"
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', binary(), "--listen", f"unix://{path}",
         "--upstream", f"unix://{tmp_path}/none", "--workers", "1"], env=clean_environment())
    try:
        wait_until(path.exists, 20, "the socket")
        for number in range(3):
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
    finally:
        process.terminate()
    assert process.wait(20) == OK


# Called as jailoc

def test_jailoc(tmp_path):
    link = tmp_path / "jailoc"
    link.symlink_to(os.path.abspath(binary()))
    result = run("system", "dind-proxy", "--version", program=link)
    assert result.status == OK and result.out == run("--version").out
    assert run("system", "dind-proxy", "--help", program=link).out.startswith(
        "Usage: jailoc system dind-proxy ")
    result = run("system", "dind-proxy", "explain", "GET", "/info", program=link)
    assert result.status == OK, result
    for words in ([], ["--version"], ["system"], ["system", "other"], ["dind-proxy", "system"]):
        fails(run(*words, program=link), "jailoc system dind-proxy")


# explain

def explain(*args, **options):
    result = run("explain", *args, **options)
    assert result.error == "", result
    verdict = dict(line.split(": ", 1) for line in result.out.splitlines())
    assert set(verdict) - {"reason", "to allow it"} == {"verdict", "rule", "endpoint", "class"}, \
        result
    return result.status, verdict


def create(**host_config):
    return json.dumps({"Image": "busybox", "HostConfig": host_config})


@pytest.mark.parametrize("args, body, status, word", [
    (["GET", "/_ping"], "", OK, "allow"),
    (["GET", "/v1.43/containers/json?all=1"], "", OK, "allow"),
    (["POST", "/v1.43/containers/x/exec"], "", FAILED, "deny"),
    (["POST", "/containers/create", "-"], create(), OK, "allow"),
    (["POST", "/containers/create", "-"], create(Privileged=True), FAILED, "deny"),
    (["POST", "/containers/create", "-"], create(NetworkMode="host"), FAILED, "deny"),
    (["POST", "/containers/create", "-"], create(Binds=["/:/host"]), FAILED, "deny"),
    (["POST", "/containers/create", "-"], create(Binds=["/src:/src"]), FAILED, "deny"),
    (["POST", "/containers/create", "-", "--allow-bind", "/src"], create(Binds=["/src:/src"]), OK,
     "allow"),
    (["POST", "/containers/create", "-"], '{"HostConfig":', USAGE, "bad-request"),
    (["POST", "/containers/create", "-"], '{"a":1,"a":2} x', USAGE, "bad-request"),
    (["GET", "/containers/../json"], "", USAGE, "bad-request"),
    (["GET", "/v01.43/info"], "", USAGE, "bad-request"),
    (["POST", "/no/such/endpoint"], "", FAILED, "deny"),
    (["POST", "/no/such/endpoint", "--allow-unknown-endpoints"], "", OK, "allow"),
    (["POST", "/session"], "", OK, "allow"),
    (["POST", "/session", "--buildkit=deny"], "", FAILED, "deny"),
    (["POST", "/build?version=2&networkmode=host"], "", FAILED, "deny"),
    (["POST", "/session", "--buildkit=opaque"], "", OK, "allow"),
    (["GET", "/v1.30/info", "--api-floor", "1.40"], "", USAGE, "bad-request"),
    (["GET", "/swarm", "--policy", "allowlist"], "", FAILED, "deny"),
])
def test_explain(args, body, status, word):
    got, verdict = explain(*args, stdin=body)
    assert (got, verdict["verdict"]) == (status, word), verdict
    assert verdict["rule"]
    assert ("reason" in verdict) == (word != "allow"), verdict


def test_explain_file(tmp_path):
    path = tmp_path / "body.json"
    path.write_text(create(Privileged=True))
    status, verdict = explain("POST", "/v1.43/containers/create", path)
    assert status == FAILED and verdict["endpoint"] == "POST /containers/create", verdict
    assert "rivileged" in verdict["reason"]
    fails(run("explain", "POST", "/containers/create", tmp_path / "none"), tmp_path / "none",
          "No such file or directory")
    fails(run("explain", "POST", "/containers/create", tmp_path), tmp_path, "directory")


def test_explain_length(tmp_path):
    body = create()
    path = tmp_path / "body.json"
    path.write_text(body + " " * (4096 - len(body)))
    assert explain("POST", "/containers/create", path, "--max-judged-body", "4096")[0] == OK
    path.write_text(body + " " * (4097 - len(body)))
    fails(run("explain", "POST", "/containers/create", path, "--max-judged-body", "4096"),
          "longer than --max-judged-body")


HOST_NETWORK = b"\x4a\x0cnetwork.host"  # Control/Solve, Entitlements
SOLVE = "/moby.buildkit.v1.Control/Solve"


@pytest.mark.parametrize("path, message, status, word, rule", [
    ("/moby.buildkit.v1.Control/Info", None, OK, "allow", "grpc.method"),
    ("/moby.buildkit.v1.Control/Escape", None, FAILED, "deny", "grpc.unknown"),
    (SOLVE, None, USAGE, "bad-request", "grpc.message"),
    (SOLVE, b"", OK, "allow", "grpc.message"),
    (SOLVE, b"\0\0\0\0\0", OK, "allow", "grpc.message"),
    (SOLVE, HOST_NETWORK, FAILED, "deny", "buildkit.entitlement"),
    (SOLVE, b"\0\0\0\0\x0e" + HOST_NETWORK, FAILED, "deny", "buildkit.entitlement"),
    (SOLVE, b"\0\0\0\0\x0f" + HOST_NETWORK, USAGE, "bad-request", "grpc.message"),
    (SOLVE, b"\1\0\0\0\x0e" + HOST_NETWORK, USAGE, "bad-request", "grpc.message"),
    (SOLVE, b"\0\0", USAGE, "bad-request", "grpc.message"),
])
def test_explain_grpc(tmp_path, path, message, status, word, rule):
    """The message with its prefix or without."""
    file = tmp_path / "message"
    file.write_bytes(message or b"")
    got, verdict = explain("GRPC", path, *([file] if message is not None else []))
    assert (got, verdict["verdict"], verdict["rule"]) == (status, word, rule), verdict
    assert verdict["endpoint"] == path and verdict["class"] == "grpc"


def test_explain_grpc_where_nobody_looks(tmp_path):
    file = tmp_path / "message"
    file.write_bytes(HOST_NETWORK)
    status, verdict = explain("GRPC", SOLVE, file, "--buildkit", "deny")
    assert (status, verdict["rule"]) == (FAILED, "endpoint.grpc"), verdict
    status, verdict = explain("GRPC", SOLVE, file, "--buildkit", "opaque")
    assert (status, verdict["rule"]) == (OK, "endpoint.grpc"), verdict
    with open(file, "wb") as big:
        big.truncate((4 << 20) + 6)
    fails(run("explain", "GRPC", SOLVE, file), "longer than a message that can be judged")


def test_explain_policy_of_builds(tmp_path):
    """A policy file opens and closes what builds may have, in gRPC and in the classic query."""
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"schema": 1, "preset": "blocklist", "build": {
        "network-host": True, "outputs": False}}))
    message = tmp_path / "message"
    message.write_bytes(HOST_NETWORK)
    options = ["--policy-file", policy]
    assert explain("GRPC", SOLVE, message, *options)[0] == OK
    assert explain("POST", "/build?networkmode=host", *options)[0] == OK
    message.write_bytes(b"\x6a\x07\x0a\x05local")
    assert explain("GRPC", SOLVE, message, *options)[1]["rule"] == "buildkit.output"
    assert explain("GRPC", SOLVE, message)[0] == OK
    verdict = explain("GRPC", SOLVE, message, *options)[1]
    assert verdict["to allow it"] == "build.outputs = true", verdict


def test_explain_needs_nothing_else():
    """Whatever is configured for the hops: the policy is explained without touching it."""
    assert explain("GET", "/info", env={
        "DOCKER_HOST": "ssh://x", "DIND_PROXY_TLS_KEY": "/no/such",
        "DIND_PROXY_LISTEN": "tcp://0.0.0.0"})[0] == OK


# --healthcheck

def test_healthcheck_plain(make_rig):
    for hops in (("unix", "unix"), ("tcp", "unix")):
        rig = make_rig(hops, "--workers", "1")
        result = run("--healthcheck", "--listen", rig.url)
        assert result.status == OK and result.error == "", result
        assert result.out.startswith(f"healthy: {rig.url}"), result
        assert run("--healthcheck", env={"DIND_PROXY_LISTEN": rig.url}).status == OK
        assert any(b"GET /_ping " in request for request in rig.reached())
        rig.recorder.close()
        fails(run("--healthcheck", "--listen", rig.url), f"not healthy: {rig.url}", "answered with 50",
              status=FAILED)


def test_healthcheck_choice(make_rig, tmp_path):
    """The unix listener is asked, not the TCP ones before it, where nobody listens."""
    rig = make_rig(("unix", "unix"), "--workers", "1")
    listeners = ["--listen", f"tcp://127.0.0.1:{free_port()}", "--listen", rig.url]
    assert rig.url in run("--healthcheck", *listeners).out


def test_healthcheck_of_nobody(tmp_path):
    fails(run("--healthcheck", "--listen", f"unix://{tmp_path}/none"), "not healthy",
          "No such file or directory", status=FAILED)
    fails(run("--healthcheck", "--listen", f"tcp://127.0.0.1:{free_port()}"), "not healthy",
          "refused", status=FAILED)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_healthcheck_of_all_addresses(host, tmp_path):
    """A listener for all addresses is asked on loopback."""
    family, loopback = ((socket.AF_INET6, "::1") if ":" in host else (socket.AF_INET, "127.0.0.1"))
    try:
        server = socket.create_server((loopback, 0), family=family)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        answer_one(server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        port = server.getsockname()[1]
        assert run("--healthcheck", "--listen", f"tcp://{host}:{port}").status == OK


def answer_one(server, answer):
    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
    threading.Thread(target=serve, daemon=True).start()


@pytest.mark.parametrize("answer, part", [
    (b"", "ended without an answer"),
    (b"HTTP/1.1 2", "ended without an answer"),
    (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answered with 403"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    (b"HTTP/1.1 2x0 OK\r\n\r\n", "not HTTP"),
])
def test_healthcheck_bad_answers(answer, part):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer_one(server, answer)
        fails(run("--healthcheck", "--listen", f"tcp://127.0.0.1:{server.getsockname()[1]}"),
              "not healthy", part, status=FAILED)


def test_healthcheck_timeout():
    with socket.create_server(("127.0.0.1", 0)) as server:
        begin = time.monotonic()
        fails(run("--healthcheck", "--health-timeout", "300ms", "--listen",
                  f"tcp://127.0.0.1:{server.getsockname()[1]}"), "no answer in time", status=FAILED)
        assert 0.3 <= time.monotonic() - begin < 15


def test_healthcheck_tls(make_rig, certificates):
    rig = make_rig(("mtls", "mtls"), "--workers", "1")
    args = ["--healthcheck", "--listen", rig.url, *server_files(certificates / "proxy")]
    result = run(*args)
    assert result.status == OK and "TLS handshake" in result.out, result
    assert rig.reached() == []

    agent = certificates / "agent"
    args += ["--health-cert", agent / "cert.pem", "--health-key", agent / "key.pem"]
    result = run(*args)
    assert result.status == OK and "answers GET /_ping" in result.out, result
    assert any(b"GET /_ping " in request for request in rig.reached())

    # A proxy that shows a certificate of another CA is not ours.
    fails(run(*args, "--health-ca", certificates / "dind-server/ca.pem"), "not healthy",
          status=FAILED)
    # A certificate that the proxy does not take.
    stranger = certificates / "stranger"
    fails(run(*args, "--health-cert", stranger / "cert.pem", "--health-key", stranger / "key.pem"),
          "not healthy", status=FAILED)


def test_healthcheck_tls_of_plain_server(certificates):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer_one(server, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        fails(run("--healthcheck", "--listen", f"tcp://127.0.0.1:{server.getsockname()[1]}",
                  *server_files(certificates / "proxy")), "not healthy", "TLS", status=FAILED)
