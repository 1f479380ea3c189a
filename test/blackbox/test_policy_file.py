"""--policy-file: what is wrong with one, reload, and a policy for each client."""

import json
import os
import signal
import socket
import subprocess
import tempfile

import pytest

from client import Client, build_request
from proxy_process import Proxy, sanitizer
from recorder import Recorder, echo_tunnel, wait_until
from tenants import client_of
from test_cli import FAILED, OK, explain, fails, run

JSON = ["Content-Type: application/json"]


def write(path, policy):
    """As a mounted file is renewed: whole and at once."""
    new = path.with_suffix(".new")
    new.write_text(policy if isinstance(policy, str) else json.dumps({"schema": 1} | policy))
    os.replace(new, path)
    return path


@pytest.fixture
def policy(tmp_path):
    """policy({…}): a file with these keys."""
    return lambda keys: write(tmp_path / "policy.json", keys)


# What is wrong with it

CLIENT = '{"schema": 1, "clients": [%s]}'
ERRORS = [
    # JSON itself.
    ("", 1, 1, "this is not plain JSON: there is no JSON object"),
    ("[]", 1, 1, "this is not plain JSON: it is not a JSON object"),
    ('{"schema": 1,\n}', 2, 1, "this is not plain JSON: a string was expected"),
    ('{"schema": 1}\n\nx', 3, 1, "this is not plain JSON: something follows the JSON object"),
    # The schema.
    ("{}", 1, 1, 'the policy names no schema; begin it with "schema": 1'),
    ('{"schema": 2}', 1, 12, "the only schema known here is 1"),
    ('{"schema": "1"}', 1, 12, "the only schema known here is 1"),
    # Keys.
    ('{"schema": 1,\n "schema": 1}', 2, 2, "the key 'schema' comes twice; give it once"),
    ('{"schema": 1,\n  "presett": "blocklist"}', 2, 3,
     """unknown key 'presett'; did you mean "preset"?"""),
    ('{"schema": 1, "create": {\n\t"capabilties": []}}', 2, 2,
     """unknown key 'capabilties' in "create"; did you mean "capabilities"?"""),
    ('{"schema": 1, "limits": {"memory": {"maximum": "8g"}}}', 1, 37,
     """unknown key 'maximum' in "limits.memory"; the policy's documentation has all keys"""),
    ('{"schema": 1, "limits": {"mem": {}}}', 1, 26,
     """unknown key 'mem' in "limits"; the policy's documentation has all keys"""),
    ('{"schema": 1, "create.privileged": true}', 1, 15,
     "unknown key 'create.privileged'; the policy's documentation has all keys"),
    ('{"schema": 1, "Preset": "allowlist"}', 1, 15,
     """unknown key 'Preset'; did you mean "preset"?"""),
    ('{"schema": 1, "ä": 1, "prest": 1}', 1, 15,
     "unknown key 'ä'; the policy's documentation has all keys"),
    # Values.
    ('{"schema": 1, "create": []}', 1, 25, '"create" must be an object'),
    ('{"schema": 1, "preset": "block-list"}', 1, 25,
     '"preset" takes one of: "blocklist", "allowlist", "read-only", "ci-runner"; did you mean '
     '"blocklist"?'),
    ('{"schema": 1, "create": {"privileged": "yes"}}', 1, 40,
     '"create.privileged" must be true or false'),
    ('{"schema": 1, "create": {"capabilities": ["CHOWN", "NET_ADMN"]}}', 1, 52,
     """'NET_ADMN' is no capability; did you mean "NET_ADMIN"?"""),
    ('{"schema": 1, "create": {"runtimes": ["ä", 1]}}', 1, 44,
     '"create.runtimes" must hold strings that are not empty'),
    ('{"schema": 1, "create": {"network-modes": ["hosts"]}}', 1, 44,
     """'hosts' needs no opening; only host does; did you mean "host"?"""),
    ('{"schema": 1, "endpoints": {"allow": "POST *"}}', 1, 38,
     '"endpoints.allow" must be a list of strings'),
    ('{"schema": 1, "endpoints": {"allow": ["POST /container/{name}/exec"]}}', 1, 39,
     """'POST /container/{name}/exec' names no route; did you mean "POST """
     """/containers/{name}/exec"?"""),
    ('{"schema": 1, "endpoints": {"deny": ["PATCH *"]}}', 1, 38, "'PATCH *' names no route"),
    ('{"schema": 1, "unknown-endpoints": true}', 1, 36,
     '"unknown-endpoints" takes one of: "deny", "allow"'),
    ('{"schema": 1, "build": {"session-deny": ["secret"]}}', 1, 42,
     '"build.session-deny" takes one of: "secrets", "ssh", "auth"; did you mean "secrets"?'),
    ('{"schema": 1, "build": {"buildkit": "on"}}', 1, 37,
     '"build.buildkit" takes one of: "inspect", "deny", "opaque"'),
    ('{"schema": 1, "exec": {"commands": ["sh"]}}', 1, 37,
     '"exec.commands" must hold lists of the arguments\' patterns, such as ["sh", "-c", "*"]'),
    ('{"schema": 1, "limits": {"memory": {"max": "8x"}}}', 1, 44,
     '"limits.memory.max" must be a size such as "512m" or "8g", or bytes'),
    ('{"schema": 1, "limits": {"memory": {"max": -1}}}', 1, 44,
     '"limits.memory.max" must be a size such as "512m" or "8g", or bytes'),
    ('{"schema": 1, "limits": {"pids": {"max": 1.5}}}', 1, 42,
     '"limits.pids.max" must be a whole number above 0'),
    ('{"schema": 1, "limits": {"cpus": {"max": 0}}}', 1, 42,
     '"limits.cpus.max" must be a number above 0, such as 1.5'),
    # Binds.
    ('{"schema": 1, "create": {"binds": ["src"]}}', 1, 36, '"src": the path must be absolute'),
    ('{"schema": 1, "create": {"binds": ["/srv/../etc"]}}', 1, 36,
     "\"/srv/../etc\": the path must be clean: no '.', '..', '//' or slash at its end"),
    ('{"schema": 1, "create": {"binds": ["/etc/**"]}}', 1, 36,
     '"/etc/**": the path is a sensitive one of the engine\'s host'),
    ('{"schema": 1, "create": {"binds": ["/**"]}}', 1, 36,
     '"/**": the path holds a sensitive path of the engine\'s host'),
    ('{"schema": 1, "create": {"binds": [{"path": "/srv", "readonly": true}]}}', 1, 53,
     'unknown key in "create.binds"; did you mean "read-only"?'),
    # Clients.
    (CLIENT % '{"name": "a"}', 1, 27, 'a client needs a "name" and a "match"'),
    (CLIENT % '{"name": "a", "match": {}}', 1, 50,
     '"match" names no condition; what is for everybody belongs outside of "clients"'),
    (CLIENT % '{"name": "a", "match": {"commonname": "x"}}', 1, 51,
     """unknown key 'commonname' in "match"; did you mean "common-name"?"""),
    (CLIENT % '{"name": "a b", "match": {"uid": 1}}', 1, 36,
     "a client's name must be of letters, digits, '.', '_' and '-', 64 at most"),
    (CLIENT % '{"name": "a", "match": {"uid": 1}}, {"name": "a", "match": {"uid": 2}}', 1, 72,
     'two clients have the name "a"'),
    (CLIENT % '{"name": "a", "match": {"uid": -1}}', 1, 58,
     '"uid" must be a whole number from 0'),
    (CLIENT % '{"name": "a", "match": {"uid": 1}, "policy": {"clients": []}}', 1, 73,
     "the key 'clients' belongs to the whole file"),
    (CLIENT % '{"name": "a", "match": {"uid": 1}, "policy": {"exec": {"command": []}}}', 1, 82,
     """unknown key 'command' in "exec"; did you mean "commands"?"""),
    ('{"schema": 1, "other-clients": "deny"}', 1, 32,
     '"other-clients" would refuse everybody, as there are no "clients"'),
]


@pytest.mark.parametrize("text, line, column, message", ERRORS, ids=lambda v: None)
def test_what_is_wrong_and_where(policy, text, line, column, message):
    path = policy(text)
    result = run("--policy-file", path, "explain", "GET", "/info")
    assert result.status == 2 and result.out == "", result
    assert result.error == f"dind-proxy: {path}:{line}:{column}: {message}\n"


def test_what_is_wrong_is_said_at_the_start_too(policy, tmp_path):
    path = policy('{"schema": 1, "presett": "blocklist"}')
    for command in ([], ["--check-config"]):
        fails(run(*command, "--policy-file", path, "--listen", f"unix://{tmp_path}/p.sock",
                  "--upstream", f"unix://{tmp_path}/e.sock"),
              f'{path}:1:15: unknown key \'presett\'; did you mean "preset"?')


def test_files_that_are_none(tmp_path):
    def refused(path, *parts):
        fails(run("--policy-file", path, "explain", "GET", "/info"), path, *parts)
    refused(tmp_path / "none", "--policy-file", "No such file")
    refused(tmp_path, "not a regular file")
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "fifo", "not a regular file")
    long = tmp_path / "long"
    text = '{"schema": 1}'
    long.write_text(text + " " * ((1 << 20) + 1 - len(text)))
    refused(long, "longer than 1 MiB")
    long.write_text(text + " " * ((1 << 20) - len(text)))
    assert run("--policy-file", long, "explain", "GET", "/info").status == OK


@pytest.mark.parametrize("option, value", [
    ("--policy", "allowlist"), ("--buildkit", "deny"), ("--buildkit-session-deny", "ssh"),
    ("--allow-bind", "/srv"), ("--allow-unknown-endpoints", "true"), ("--api-floor", "1.30")])
def test_options_that_say_the_same(policy, option, value):
    path = policy({})
    variable = "DIND_PROXY_" + option[2:].upper().replace("-", "_")
    request = ["explain", "GET", "/info"]
    fails(run(f"{option}={value}", "--policy-file", path, *request), "--policy-file and", option)
    fails(run("--policy-file", path, *request, env={variable: value}), "--policy-file and",
          variable)
    fails(run(f"{option}={value}", *request, env={"DIND_PROXY_POLICY_FILE": path}),
          "DIND_PROXY_POLICY_FILE and", option)
    assert run("--policy-file", path, *request).status == OK


def test_explain_judges_as_a_client(policy):
    path = policy({"preset": "read-only", "other-clients": "deny", "clients": [
        {"name": "ci", "match": {"uid": 7}, "policy": {"preset": "ci-runner"}},
        {"name": "eye", "match": {"uid": 8}}]})
    command = ["POST", "/v1.41/containers/x/start"]
    assert explain("--policy-file", path, "--as", "ci", *command)[0] == OK
    assert explain("--policy-file", path, "--as", "eye", *command)[0] == FAILED
    status, verdict = explain("--policy-file", path, "GET", "/info")
    assert (status, verdict["rule"]) == (FAILED, "client.unknown")
    fails(run("--policy-file", path, "--as", "nobody", "explain", *command), "no such client")


def test_what_was_judged_is_what_is_sent(make_rig, policy):
    rig = make_rig(("unix", "unix"), "--policy-file",
                   policy({"preset": "ci-runner", "exec": {"commands": [["sh"]]}}))
    body = b'{ "Cmd" : [ "s\\u0068" ] }'
    target = "/v1.41/containers/x/exec"
    assert status(rig.client(), target=target, body=body) == 200
    assert rig.reached()[-1].endswith(b"\r\n\r\n" + body)
    mark = rig.recorder.mark()
    assert status(rig.client(), target=target, body=b'{"Cmd":["ls"]}') == 403
    rig.assert_nothing_reached(mark)


# Reload

def reload(proxy):
    """The log's line about it."""
    def lines():
        return [line for line in proxy.log_lines() if "event=reload " in line]
    before = len(lines())
    os.kill(proxy.pid, signal.SIGHUP)
    wait_until(lambda: len(lines()) > before, 20, "the line about the reload")
    return lines()[before]


def status(client, method="POST", target="/v1.41/containers/x/kill", body=None):
    response = client.request(method, target, JSON if body is not None else [], body)
    assert response.status != 403 or "blocked by" in response.message()
    return response.status


def test_reload(make_rig, policy):
    """A good file counts from the next request on, on open connections as well; a bad one changes
    nothing and the log says what is wrong with it."""
    path = policy({"preset": "read-only"})
    rig = make_rig(("unix", "unix"), "--policy-file", path)
    kept = rig.client()
    assert status(kept) == 403

    policy({"preset": "blocklist"})
    assert status(kept) == 403  # not before it is told
    assert "level=info" in reload(rig.proxy)
    assert status(kept) == 200 and status(rig.client()) == 200

    for bad, why in (('{"schema": 1, "preset": "read-onyl"}',
                      f'{path}:1:25: \\"preset\\" takes one of: \\"blocklist\\", \\"allowlist\\", '
                      '\\"read-only\\", \\"ci-runner\\"; did you mean \\"read-only\\"?'),
                     ('{"schema": 1, "create": {"binds": ["/etc"]}}', f"{path}:1:36: "),
                     ("", f"{path}:1:1: this is not plain JSON")):
        policy(bad)
        line = reload(rig.proxy)
        assert "level=error" in line and "nothing was changed" in line and why in line, line
        assert status(kept) == 200 and status(rig.client()) == 200
    path.unlink()
    line = reload(rig.proxy)
    assert "level=error" in line and str(path) in line and "No such file" in line, line
    assert status(kept) == 200

    policy({"preset": "read-only"})
    assert "level=info" in reload(rig.proxy)
    assert status(kept) == 403 and status(rig.client()) == 403


@pytest.mark.threads
def test_reload_leaves_streams_alone(make_rig, policy):
    """Not even those that the new policy would refuse."""
    attach = build_request("POST", "/v1.41/containers/x/attach?stream=1&stdin=1&stdout=1",
                           ["Upgrade: tcp", "Connection: Upgrade"], b"")

    def handler(connection):
        head = connection.read_head()
        if "/attach" in head.target:
            echo_tunnel(connection)
        else:
            connection.read_body(head)
            connection.reply()
    path = policy({"preset": "blocklist"})
    rig = make_rig(("unix", "unix"), "--policy-file", path, "--workers", "2", handler=handler)
    stream = rig.client()
    stream.send(attach)
    assert stream.read_head().status == 101
    for keys, expected in (({"preset": "read-only"}, 403), ({"preset": "no"}, 403),
                           ({"preset": "allowlist"}, 200)):
        policy(keys)
        reload(rig.proxy)
        stream.send(b"still there")
        assert stream.read_exactly(11) == b"still there"
        assert status(rig.client()) == expected
    stream.close_write()
    assert stream.read_all() == b""


# By client

@pytest.fixture(scope="session")
def names(tmp_path_factory, certificates):
    """names(CN): a client's certificate from one CA, whose certificate is in `names.authority`."""
    folder = tmp_path_factory.mktemp("names")

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def key():
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"]
    openssl("req", "-x509", *key(), "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
            "-days", 2, "-subj", "/CN=names")

    def make(common_name):
        files = folder / common_name
        if not files.exists():
            files.mkdir()
            openssl("req", *key(), "-keyout", files / "key.pem", "-out", files / "request",
                    "-subj", f"/CN={common_name}")
            (files / "extensions").write_text(
                f"extendedKeyUsage=clientAuth\nsubjectAltName=DNS:{common_name}.example\n")
            openssl("x509", "-req", "-in", files / "request", "-CA", folder / "ca.pem", "-CAkey",
                    folder / "ca.key", "-CAcreateserial", "-days", 2, "-extfile",
                    files / "extensions", "-out", files / "cert.pem")
            # What the proxy's own certificate comes from.
            (files / "ca.pem").write_bytes((certificates / "agent/ca.pem").read_bytes())
        return files
    make.authority = folder / "ca.pem"
    return make


@pytest.fixture
def served(tmp_path):
    """served(listeners, *options): a proxy with these in front of a recorder."""
    running = []

    def start(listeners, *options):
        recorder = Recorder(f"unix://{tmp_path}/engine.sock")
        proxy = Proxy(listeners, recorder.url, options, tmp_path / "proxy.log")
        running.extend([recorder.close, proxy.stop])
        return proxy
    yield start
    for stop in reversed(running):
        stop()


def test_by_common_name(served, policy, names, certificates, free_url):
    server = certificates / "proxy"
    path = policy({"preset": "read-only", "clients": [
        {"name": "one", "match": {"common-name": "team-a"}, "policy": {"preset": "blocklist"}},
        {"name": "many", "match": {"common-name": "team-*"},
         "policy": {"endpoints": {"deny": ["GET /info"]}}},
        {"name": "late", "match": {"common-name": "team-b"}, "policy": {"preset": "blocklist"}}]})
    proxy = served([free_url], "--tls-cert", server / "cert.pem", "--tls-key", server / "key.pem",
                   "--tls-client-ca", names.authority, "--policy-file", path)

    def ask(name):
        """A call that changes something, and one that does not."""
        with Client(free_url, names(name)) as client:
            return status(client), status(client, "GET", "/v1.41/info")
    assert ask("team-a") == (200, 200)
    assert ask("team-b") == (403, 403)  # the first that matches counts
    assert ask("teams") == (403, 200)
    assert ask("TEAM-A") == (403, 200)

    with Client(free_url, names("team-a")) as kept, Client(free_url, names("teams")) as other:
        assert status(kept) == 200 and status(other, "GET", "/v1.41/info") == 200
        policy({"other-clients": "deny", "preset": "read-only", "clients": [
            {"name": "one", "match": {"common-name": "team-a"}}]})
        assert "level=info" in reload(proxy)
        assert status(kept) == 403 and status(kept, "GET", "/v1.41/info") == 200
        response = other.request("GET", "/v1.41/info")
        assert response.status == 403 and "(client.unknown)" in response.message()


def test_by_alternative_name(served, policy, names, certificates, free_url):
    """One of the certificate's; its common name is none of them."""
    server = certificates / "proxy"
    path = policy({"preset": "read-only", "clients": [
        {"name": "cn", "match": {"alt-name": "team-a"}, "policy": {"preset": "blocklist"}},
        {"name": "san", "match": {"alt-name": "team-b.*"}, "policy": {"preset": "blocklist"}},
        {"name": "both", "match": {"common-name": "team-c", "alt-name": "*.example"},
         "policy": {"preset": "blocklist"}}]})
    served([free_url], "--tls-cert", server / "cert.pem", "--tls-key", server / "key.pem",
           "--tls-client-ca", names.authority, "--policy-file", path)

    def ask(name):
        with Client(free_url, names(name)) as client:
            return status(client)
    assert [ask(f"team-{letter}") for letter in "abcd"] == [403, 200, 200, 403]


@pytest.fixture
def free_url():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return f"tcp://localhost:{s.getsockname()[1]}"


@pytest.fixture
def open_folder():
    """One that others can reach; what pytest makes is its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_by_uid_and_gid(served, policy, open_folder):
    folder = open_folder
    path = policy({"preset": "read-only", "clients": [
        {"name": "user", "match": {"uid": 4001}, "policy": {"preset": "blocklist"}},
        {"name": "group", "match": {"gid": 4002}, "policy": {"preset": "allowlist"}},
        {"name": "both", "match": {"uid": 4003, "gid": 4003}, "policy": {"preset": "blocklist"}},
        {"name": "tls", "match": {"uid": 4004, "common-name": "*"},
         "policy": {"preset": "blocklist"}}]})
    served([f"unix://{folder}/p.sock?mode=0666"], "--policy-file", path)

    def ask(user, group):
        with client_of(f"unix://{folder}/p.sock", user, gid=group, groups=[4002]) as client:
            return client.request("POST", "/v1.41/containers/x/kill").status
    assert ask(4001, 4001) == 200
    assert ask(4009, 4002) == 200
    assert ask(4003, 4003) == 200
    assert ask(4003, 4009) == 403  # not every condition holds
    assert ask(4009, 4009) == 403  # a supplementary group does not count
    assert ask(4004, 4004) == 403  # nothing is known of a certificate
    assert ask(0, 0) == 403


def test_by_listener(served, policy, tmp_path, free_url):
    mine, others = f"unix://{tmp_path}/mine.sock", f"unix://{tmp_path}/others.sock"
    path = policy({"preset": "read-only", "clients": [
        {"name": "mine", "match": {"listener": mine}, "policy": {"preset": "blocklist"}},
        {"name": "tcp", "match": {"listener": "tcp://*"}, "policy": {"preset": "allowlist"}}]})
    plain = free_url.replace("localhost", "127.0.0.1")
    served([f"{mine}?mode=0600", others, plain], "--policy-file", path)

    def ask(url):
        with Client(url) as client:
            return status(client), status(client, target="/v1.41/containers/prune")
    assert ask(mine) == (200, 200)
    assert ask(others) == (403, 403)
    assert ask(plain) == (200, 403)


def test_bodies_are_judged_by_the_clients_own_policy(served, policy, tmp_path):
    mine, others = f"unix://{tmp_path}/mine.sock", f"unix://{tmp_path}/others.sock"
    path = policy({"create": {"capabilities": ["NET_ADMIN"]}, "clients": [
        {"name": "mine", "match": {"listener": mine},
         "policy": {"create": {"capabilities": ["SYS_PTRACE"]}}}]})
    served([mine, others], "--policy-file", path)

    def ask(url, *capabilities):
        body = json.dumps({"Image": "a", "HostConfig": {"CapAdd": capabilities}}).encode()
        with Client(url) as client:
            return status(client, target="/v1.41/containers/create", body=body)
    # A list replaces the list.
    assert [ask(mine, "SYS_PTRACE"), ask(mine, "NET_ADMIN")] == [200, 403]
    assert [ask(others, "SYS_PTRACE"), ask(others, "NET_ADMIN")] == [403, 200]
    assert ask(others, "SYS_ADMIN") == ask(mine, "NET_ADMIN", "SYS_PTRACE") == 403


@pytest.mark.skipif(sanitizer() is not None, reason="a time is measured")
def test_many_clients_and_patterns_are_quick(policy):
    """256 clients with patterns are the most; a policy full of them is made at once."""
    clients = [{"name": f"c{n}", "match": {"common-name": f"*{n}*x*"},
                "policy": {"create": {"images": [f"r{n}.example/*/*{m}*" for m in range(20)]}}}
               for n in range(256)]
    path = policy({"clients": clients})
    assert run("--policy-file", path, "explain", "GET", "/info", timeout=5).status == OK
    policy({"clients": [*clients, {"name": "more", "match": {"uid": 1}}]})
    fails(run("--policy-file", path, "explain", "GET", "/info"),
          "there may be 256 clients at most")


def test_the_health_check_is_a_client_too(served, policy, tmp_path):
    mine, others = f"unix://{tmp_path}/mine.sock", f"unix://{tmp_path}/others.sock"
    path = policy({"endpoints": {"only": ["GET /_ping"]}, "other-clients": "deny", "clients": [
        {"name": "health", "match": {"uid": os.geteuid(), "listener": mine}}]})
    served([mine, others], "--policy-file", path)
    assert run("--listen", mine, "--healthcheck").status == OK
    result = run("--listen", others, "--healthcheck")
    assert result.status == FAILED and "was answered with 403" in result.error, result
