"""--policy-file: by client, at a reload, printed, explained; and what is wrong with one."""

import json
import os
import re
import signal
import subprocess

import pytest

from proxy_process import REPOSITORY, binary, clean_environment
from recorder import wait_until
from rig import Rig

EXEC = ("POST", "/v1.43/containers/x/exec", ["Content-Type: application/json"],
        b'{"Cmd":["sh"]}')


def write(path, **policy):
    path.write_text(json.dumps({"schema": 1, **policy}))
    return path


def run(*arguments, environment=None):
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True,
                          env=clean_environment() | (environment or {}), stdin=subprocess.DEVNULL)


@pytest.fixture
def make(tmp_path, certificates):
    rigs = []

    def start(policy, hops=("unix", "unix")):
        directory = tmp_path / f"rig{len(rigs)}"
        directory.mkdir()
        rigs.append(Rig(directory, certificates, hops, ["--policy-file", policy]))
        return rigs[-1]

    yield start
    for rig in rigs:
        rig.close()


def ask(rig, *request):
    """The status, and the message of a refusal."""
    with rig.client() as client:
        response = client.request(*request)
        return response.status, response.body.decode()


def test_what_was_judged_is_what_is_sent(tmp_path, make):
    rig = make(write(tmp_path / "p", preset="ci-runner", exec={"commands": [["sh"]]}))
    body = b'{ "Cmd" : [ "s\\u0068" ] }'
    status, _ = ask(rig, *EXEC[:3], body)
    assert status == 200
    assert rig.reached()[-1].endswith(b"\r\n\r\n" + body)
    mark = rig.recorder.mark()
    status, message = ask(rig, *EXEC[:3], b'{"Cmd":["ls"]}')
    assert status == 403 and "(exec.command)" in message
    rig.assert_nothing_reached(mark)


def test_reload(tmp_path, make):
    policy = write(tmp_path / "p")
    rig = make(policy)

    def reload(level):
        count = rig.proxy.log().count("event=reload ")
        os.kill(rig.proxy.pid, signal.SIGHUP)
        wait_until(lambda: rig.proxy.log().count("event=reload ") > count, 20, "the reload")
        line = [x for x in rig.proxy.log_lines() if "event=reload " in x][-1]
        assert f"level={level}" in line, line
        return line

    assert ask(rig, *EXEC)[0] == 403
    write(policy, preset="ci-runner")
    reload("info")
    assert ask(rig, *EXEC)[0] == 200
    for broken, said in (('{"schema": 1,\n "presett": "allowlist"}', ":2:2: unknown key 'presett'"),
                         ('{"schema": 1', ":1:13: this is not plain JSON"),
                         ("", ":1:1: this is not plain JSON")):
        policy.write_text(broken)
        assert f"{policy}{said}" in reload("error")
        assert ask(rig, *EXEC)[0] == 200
    policy.unlink()
    assert f"--policy-file {policy}" in reload("error")
    assert ask(rig, *EXEC)[0] == 200
    write(policy, preset="read-only")
    reload("info")
    assert ask(rig, *EXEC)[0] == 403


def test_clients_by_certificate(tmp_path, make):
    name = re.search(r"CN ?= ?(\S+)", subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-in",
         make(write(tmp_path / "a")).certificates / "agent/cert.pem"],
        capture_output=True, text=True, check=True).stdout)[1]
    rig = make(write(tmp_path / "p", clients=[
        {"name": "other", "match": {"common-name": f"{name}x"}},
        {"name": "uid", "match": {"uid": os.getuid()}},
        {"name": "agent", "match": {"common-name": name}, "policy": {"preset": "ci-runner"}},
    ], **{"other-clients": "deny"}), hops=("mtls", "mtls"))
    assert ask(rig, *EXEC)[0] == 200


def test_clients_by_socket(tmp_path, make):
    policy = tmp_path / "p"
    for match, opened in (({"uid": os.getuid(), "gid": os.getgid()}, True),
                          ({"uid": os.getuid() + 1}, False),
                          ({"listener": f"unix://{tmp_path}/*"}, True),
                          ({"listener": "unix:///elsewhere"}, False),
                          ({"common-name": "*"}, False)):
        rig = make(write(policy, clients=[{"name": "a", "match": match}],
                         **{"other-clients": "deny"}))
        status, message = ask(rig, "GET", "/info")
        assert (status, "(client.unknown)" in message) == \
            ((200, False) if opened else (403, True)), match


@pytest.mark.parametrize("option, value", [
    ("--policy", "allowlist"), ("--allow-bind", "/srv"), ("--buildkit", "deny"),
    ("--buildkit-session-deny", "ssh"), ("--api-floor", "1.30"),
    ("--allow-unknown-endpoints", "true")])
def test_options_that_the_file_replaces(tmp_path, option, value):
    policy = write(tmp_path / "p")
    result = run("--policy-file", policy, f"{option}={value}", "--check-config")
    assert result.returncode == 2
    assert "--policy-file" in result.stderr and option in result.stderr, result.stderr
    variable = "DIND_PROXY" + option[1:].upper().replace("-", "_")
    result = run("explain", "GET", "/info",
                 environment={"DIND_PROXY_POLICY_FILE": str(policy), variable: value})
    assert result.returncode == 2
    assert "DIND_PROXY_POLICY_FILE" in result.stderr and variable in result.stderr


def test_files_that_are_none(tmp_path):
    def fails(path, *parts):
        result = run("--policy-file", path, "explain", "GET", "/info")
        assert result.returncode == 2, result
        assert all(part in result.stderr for part in (str(path), *parts)), result.stderr

    fails(tmp_path / "none", "No such file")
    fails(tmp_path, "not a regular file")
    os.mkfifo(tmp_path / "fifo")
    fails(tmp_path / "fifo", "not a regular file")
    (tmp_path / "long").write_text('{"schema": 1}' + " " * (1 << 20))
    fails(tmp_path / "long", "longer than 1 MiB")
    (tmp_path / "fits").write_text('{"schema": 1}' + " " * ((1 << 20) - 13))
    assert run("--policy-file", tmp_path / "fits", "explain", "GET", "/info").returncode == 0


def test_the_effective_policy_is_printed(tmp_path):
    policy = write(tmp_path / "p", preset="allowlist", create={"capabilities": ["cap_net_admin"]},
                   clients=[{"name": "a", "match": {"uid": 1}, "policy": {"ownership": True}}])

    def printed(path):
        result = run("--listen", f"unix://{tmp_path}/s", "--policy-file", path, "--check-config")
        assert result.returncode == 0, result.stderr
        options, _, text = result.stdout.partition("\n{")
        assert f"--policy-file={path}" in options
        return json.loads("{" + text)

    first = printed(policy)
    assert first["create"]["capabilities"] == ["NET_ADMIN"]
    assert first["clients"][0]["policy"]["create"]["capabilities"] == ["NET_ADMIN"]
    assert first["clients"][0]["policy"]["ownership"] and not first["ownership"]
    again = tmp_path / "again"
    again.write_text(json.dumps(first))
    assert printed(again) == first


def test_explain_as_a_client(tmp_path):
    policy = write(tmp_path / "p", clients=[
        {"name": "ci", "match": {"uid": 1}, "policy": {"preset": "ci-runner"}},
        {"name": "ro", "match": {"uid": 2}, "policy": {"preset": "read-only"}}],
        **{"other-clients": "deny"})
    body = tmp_path / "body"
    body.write_text('{"HostConfig":{"CapAdd":["NET_ADMIN"]}}')

    def explain(*options):
        return run("--policy-file", policy, *options, "explain", "POST", "/containers/create", body)

    result = explain("--as", "ci")
    assert result.returncode == 1
    assert 'to allow it: create.capabilities += "NET_ADMIN"\n' in result.stdout
    result = explain("--as", "ro")
    assert 'to allow it: endpoints.allow += "POST /containers/create"\n' in result.stdout
    assert "rule: client.unknown\n" in explain().stdout
    result = explain("--as", "nobody")
    assert result.returncode == 2 and "--as nobody" in result.stderr
    result = run("--as", "ci", "--check-config")
    assert result.returncode == 2 and "--as" in result.stderr


def test_the_table_of_endpoints_is_in_step():
    subprocess.run([REPOSITORY / "tools/docs/update-endpoints", "--check", binary()], check=True)


def test_the_documented_example_is_a_policy(tmp_path):
    text = (REPOSITORY / "filter/policy.md").read_text(encoding="utf-8")
    examples = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "p").write_text(example)
        result = run("--listen", f"unix://{tmp_path}/s", "--policy-file", tmp_path / "p",
                     "--check-config")
        assert result.returncode == 0, result.stderr
