"""Ways round what a policy file opens and bounds, judged by `explain`: each row is what a hostile client
would try next to what the policy means to let through."""

import json

import pytest

from test_cli import explain

CREATE = "/v1.41/containers/create"
EXEC = "/v1.41/containers/a/exec"
UPDATE = "/v1.41/containers/a/update"
ALLOW, DENY, BAD = "allow", "deny", "bad-request"
DIGEST = "sha256:" + "a" * 64


def judge(tmp_path, keys, method, target, body=None):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"schema": 1} | keys))
    arguments = ["--policy-file", path, method, target]
    if body is None:
        return explain(*arguments)[1]
    return explain(*arguments, "-",
                   stdin=body if isinstance(body, str) else json.dumps(body))[1]


LIMITS = {"limits": {"memory": {"required": True, "max": "512m"},
                     "pids": {"required": True, "max": 100}, "cpus": {"max": 1}}}
ENOUGH = {"Memory": 1 << 20, "PidsLimit": 10, "NanoCpus": 500000000}


def without(name):
    return {key: value for key, value in ENOUGH.items() if key != name}


@pytest.mark.parametrize("body, word", [
    ({"HostConfig": ENOUGH}, ALLOW),
    ({"HostConfig": ENOUGH | {"Memory": 512 << 20}}, ALLOW),
    ({"HostConfig": ENOUGH | {"memory": 0}}, BAD),
    ({"HostConfig": None}, DENY),
    ({}, DENY),
    (ENOUGH, DENY),  # new engines do not look there
    ({"HostConfig": ENOUGH, "Memory": 1 << 40}, DENY),  # old ones do
    ({"HostConfig": ENOUGH, "NanoCpus": 2 * 10**9}, DENY),
    ({"HostConfig": ENOUGH | {"Memory": (512 << 20) + 1}}, DENY),
    ({"HostConfig": ENOUGH | {"Memory": -1}}, DENY),
    ({"HostConfig": ENOUGH | {"Memory": 0}}, DENY),
    ({"HostConfig": ENOUGH | {"Memory": None}}, DENY),
    ({"HostConfig": ENOUGH | {"Memory": True}}, BAD),
    ({"HostConfig": ENOUGH | {"Memory": "64m"}}, BAD),
    ({"HostConfig": ENOUGH | {"Memory": 2**63}}, DENY),
    ('{"HostConfig": {"Memory": 1e99, "PidsLimit": 1, "NanoCpus": 1}}', DENY),
    ('{"HostConfig": {"Memory": 1e999, "PidsLimit": 1, "NanoCpus": 1}}', BAD),
    ('{"HostConfig": {"Memory": -0.0, "PidsLimit": 1, "NanoCpus": 1}}', DENY),
    ({"HostConfig": ENOUGH | {"MemorySwap": -1}}, DENY),
    ({"HostConfig": ENOUGH | {"MemorySwap": (1 << 30) + 1}}, DENY),
    ({"HostConfig": ENOUGH | {"PidsLimit": -1}}, DENY),
    ({"HostConfig": ENOUGH | {"PidsLimit": 0}}, DENY),
    ({"HostConfig": ENOUGH | {"PidsLimit": None}}, DENY),
    ({"HostConfig": ENOUGH | {"PidsLimit": 101}}, DENY),
    ({"HostConfig": without("NanoCpus")}, DENY),
    ({"HostConfig": without("NanoCpus") | {"CpuQuota": 100000}}, ALLOW),
    ({"HostConfig": without("NanoCpus") | {"CpuQuota": 100001}}, DENY),
    ({"HostConfig": without("NanoCpus") | {"CpuQuota": -1}}, DENY),
    ({"HostConfig": without("NanoCpus") | {"CpuQuota": 50000, "CpuPeriod": 1000}}, DENY),
    ({"HostConfig": without("NanoCpus") | {"CpuPeriod": 1000}}, DENY),
    ({"HostConfig": without("NanoCpus") | {"CpuShares": 2}}, DENY),
    ({"HostConfig": ENOUGH | {"Ulimits": [{"Name": "nofile", "Soft": 9, "Hard": 9}]}}, ALLOW),
    # Real-time priority is not bound by the quota.
    ({"HostConfig": ENOUGH | {"Ulimits": [{"Name": "rtprio", "Soft": 9, "Hard": 9}]}}, DENY),
    ({"HostConfig": ENOUGH | {"Ulimits": [{"name": "RtPrio", "Hard": 9}]}}, DENY),
    ({"HostConfig": ENOUGH | {"ulimits": [{"Name": "nofile", "name": "rtprio"}]}}, BAD),
    ({"HostConfig": ENOUGH | {"Ulimits": [{"Name": "rtpr\u0131o", "Hard": 9}]}}, DENY),
    ({"HostConfig": ENOUGH, "Ulimits": [{"Name": "rtprio", "Hard": 9}]}, DENY),
])
def test_limits(tmp_path, body, word):
    if isinstance(body, dict):
        body = {"Image": "a"} | body
    assert judge(tmp_path, LIMITS, "POST", CREATE, body)["verdict"] == word


@pytest.mark.parametrize("name, word", [
    ("alpine", ALLOW), ("alpine:3", ALLOW), ("library/alpine", ALLOW), ("docker.io/alpine", ALLOW),
    ("index.docker.io/library/alpine", ALLOW), (f"alpine@{DIGEST}", ALLOW),
    ("r.local:5000/team/x:1.2", ALLOW), (f"ghcr.io/a/b@{DIGEST}", ALLOW),
    ("evil/alpine", DENY), ("alpine/evil", DENY), ("Alpine", DENY), ("localhost/alpine", DENY),
    ("docker.io.evil/library/alpine", DENY), ("x.example/library/alpine", DENY),
    ("docker.io/docker.io/alpine", DENY), ("registry-1.docker.io/library/alpine", DENY),
    (DIGEST, DENY), ("sha256:abc", DENY), ("abc", DENY), ("a" * 64, DENY), ("alpine:", DENY),
    ("alpine@", DENY), ("alpine :3", DENY), (" alpine", DENY), ("alpine\n", DENY),
    ("r.local:5000/team/x", DENY), ("r.local:5000/team/x:2", DENY),
    (f"r.local:5000/team/x:1.2@{DIGEST}", DENY), ("r.local:5001/team/x:1.2", DENY),
    ("r.local/team/x:1.2", DENY), ("R.local:5000/team/x:1.2", DENY), ("ghcr.io/a/b:1", DENY),
    (f"ghcr.io/a/b:1@{DIGEST[:-1]}\u00e4", DENY)])
def test_images(tmp_path, name, word):
    keys = {"create": {"images": ["alpine", "r.local:5000/team/*:1.*", "ghcr.io/a/*@sha256:*"]}}
    assert judge(tmp_path, keys, "POST", CREATE, {"Image": name})["verdict"] == word
    mount = {"Image": "alpine", "HostConfig": {"Mounts": [
        {"Type": "image", "Source": name, "Target": "/x"}]}}
    assert judge(tmp_path, keys, "POST", CREATE, mount)["verdict"] == word
    assert judge(tmp_path, keys, "POST", CREATE, {"Image": "alpine", "image": name})["verdict"] \
        == BAD


@pytest.mark.parametrize("query, word", [
    ("fromImage=alpine&tag=3.1", ALLOW), ("fromImage=alpine:3.1", ALLOW),
    ("fromImage=alpine:4&tag=3.1", ALLOW),  # the engine takes the second
    ("fromImage=r.io:5000/x", ALLOW), ("fromImage=alpine:3.1&tag=4", DENY),
    ("fromImage=alpine", DENY), (f"fromImage=alpine:3.1&tag={DIGEST}", DENY),
    (f"fromImage=alpine@{DIGEST}&tag=3.1", DENY), ("fromImage=evil&tag=3.1", DENY),
    ("fromImage=alpine&tag=3.1&tag=4", BAD), ("fromImage=alpine&fromImage=evil&tag=3.1", BAD),
    ("fromImage=r.io:5000", DENY), ("fromImage=alpine:&tag=3.1", DENY),
    ("fromImage=alpine&tag=3.1%2F..", DENY), ("fromImage=alpine%00&tag=3.1", BAD),
    # Under any name, and on the same route.
    ("fromSrc=-&repo=alpine&tag=3.1", DENY), ("fromImage=&fromSrc=-&repo=alpine", DENY)])
def test_pulls(tmp_path, query, word):
    keys = {"images": {"pull": ["alpine:3.*", "r.io:5000/*"]}}
    assert judge(tmp_path, keys, "POST", f"/v1.41/images/create?{query}")["verdict"] == word
    for keys in ({}, {"images": {"pull": ["*"]}}):
        assert judge(tmp_path, keys, "POST", "/v1.41/images/create?fromSrc=-&repo=x")["verdict"] \
            == ALLOW


@pytest.mark.parametrize("target, word", [
    ("r.io/team/x/push", ALLOW), ("r.io/team/x:1/push", ALLOW), ("r.io/team/x/push?tag=1", ALLOW),
    ("r.io%2Fteam%2Fx/push", ALLOW), ("r.io/other/x/push", DENY), ("team/x/push", DENY),
    ("r.io/team%2F..%2Fother/x/push", BAD), ("r.io/team/../other/x/push", BAD),
    ("r.io/team/x/push?tag=a&tag=b", BAD), ("R.io/team/x/push", DENY)])
def test_pushes(tmp_path, target, word):
    keys = {"images": {"push": ["r.io/team/*"]}}
    assert judge(tmp_path, keys, "POST", f"/v1.41/images/{target}")["verdict"] == word


RUNNER = {"preset": "ci-runner",
          "exec": {"commands": [["sh", "-c", "make *"], ["ls", "**"], ["cat", "/r/?"]]}}


@pytest.mark.parametrize("body, word", [
    ({"Cmd": ["sh", "-c", "make all"]}, ALLOW), ({"Cmd": ["ls"]}, ALLOW),
    ({"Cmd": ["ls", "-l", "/"]}, ALLOW), ({"Cmd": ["ls"], "Env": []}, ALLOW),
    ({"Cmd": ["ls"], "Privileged": None}, ALLOW), ('{"Cmd": ["l\\u0073"]}', ALLOW),
    ({"Cmd": ["sh", "-c", "make"]}, DENY), ({"Cmd": ["sh", "-c"]}, DENY),
    ({"Cmd": ["sh", "-c", "make all", "x"]}, DENY), ({"Cmd": ["sh", "-cmake ", "x"]}, DENY),
    ({"Cmd": ["lsx"]}, DENY), ({"Cmd": ["cat", "/r/x"]}, DENY), ({"Cmd": []}, DENY),
    ({"Cmd": ["/bin/ls"]}, DENY), ({"Cmd": ["LS"]}, DENY),
    ({"Cmd": "ls"}, BAD), ({"Cmd": None}, BAD), ({}, BAD), ({"Cmd": ["ls", None]}, BAD),
    ({"Cmd": ["ls", 1]}, BAD), ({"Cmd": ["ls"], "cmd": ["id"]}, BAD),
    ({"Cmd": ["ls"], "Privileged": 1}, BAD), ('{"Cmd": ["ls"]}{"Cmd": ["id"]}', BAD),
    ({"Cmd": ["ls"], "privileged": True}, DENY), ({"Cmd": ["ls"], "Env": ["A=b"]}, DENY),
    ({"Cmd": ["ls"], "env": "A=b"}, DENY), ({"Cmd": ["ls"], "Entrypoint": ["id"]}, DENY)])
def test_commands(tmp_path, body, word):
    assert judge(tmp_path, RUNNER, "POST", EXEC, body)["verdict"] == word
    # Where the calls of exec are not open, commands open nothing.
    verdict = judge(tmp_path, RUNNER | {"preset": "allowlist"}, "POST", EXEC, body)
    assert (verdict["verdict"], verdict["rule"]) == (DENY, "endpoint.exec-create")


def test_the_start_of_an_exec_names_no_command(tmp_path):
    start = "/v1.41/exec/a/start"
    for body, word in (({"Detach": False, "Tty": True}, ALLOW), ({"Cmd": ["id"]}, DENY),
                       ({"Privileged": True}, DENY)):
        assert judge(tmp_path, RUNNER, "POST", start, body)["verdict"] == word


@pytest.mark.parametrize("config, word", [
    ({"Binds": ["/srv/a:/a:ro"]}, ALLOW), ({"Binds": ["/srv/./a/../b:/a:ro"]}, ALLOW),
    ({"Binds": ["/data/:/a"]}, ALLOW),
    ({"Mounts": [{"Type": "bind", "Source": "/srv/a", "Target": "/a", "ReadOnly": True}]}, ALLOW),
    ({"Binds": ["/srv/a:/a"]}, DENY), ({"Binds": ["/srv/a:/a:RO"]}, DENY),
    ({"Binds": ["/srv/a:/a:ro,rshared"]}, DENY), ({"Binds": ["/srv/../etc:/a:ro"]}, DENY),
    ({"Binds": ["/srvx:/a:ro"]}, DENY), ({"Binds": ["/:/a:ro"]}, DENY),
    ({"Binds": ["/srv/docker.sock:/a:ro"]}, DENY), ({"Binds": ["/data/x:/a"]}, DENY),
    ({"Mounts": [{"Type": "bind", "Source": "/srv/a", "Target": "/a"}]}, DENY),
    ({"Mounts": [{"Type": "bind", "Source": "/srv/a", "Target": "/a", "ReadOnly": True,
                  "BindOptions": {"ReadOnlyNonRecursive": True}}]}, DENY),
    ({"Mounts": [{"Type": "bind", "Source": "/srv/a", "Target": "/a", "ReadOnly": True,
                  "BindOptions": {"Propagation": "shared"}}]}, DENY),
    ({"Mounts": [{"Type": "bind", "Source": "/srv/a", "Target": "/a", "ReadOnly": True,
                  "readonly": False}]}, BAD),
    ({"Mounts": [{"Type": "volume", "Target": "/a", "VolumeOptions": {"DriverConfig": {
        "Options": {"type": "none", "o": "bind", "device": "/srv/a"}}}}]}, DENY)])
def test_binds(tmp_path, config, word):
    keys = {"create": {"binds": [{"path": "/srv/**", "read-only": True}, "/data"]}}
    body = {"Image": "a", "HostConfig": config}
    assert judge(tmp_path, keys, "POST", CREATE, body)["verdict"] == word


@pytest.mark.parametrize("config, word", [
    ({"Devices": [{"PathOnHost": "/dev/fuse"}]}, ALLOW),
    ({"Devices": [{"PathOnHost": "/dev/net/../sda"}]}, DENY),
    ({"Devices": [{"PathOnHost": "/dev/net/tun", "pathonhost": "/dev/sda"}]}, BAD),
    ({"Devices": [{"PathOnHost": "/dev/fuse", "Other": 1}]}, DENY),
    ({"Devices": ["/dev/fuse"]}, DENY), ({"Devices": [{}]}, DENY), ({"Devices": [None]}, DENY),
    ({"DeviceCgroupRules": ["a *:* rwm"]}, DENY), ({"Privileged": True}, DENY),
    ({"CapAdd": ["cap_net_admin"]}, ALLOW), ({"CapAdd": "NET_ADMIN"}, ALLOW),
    ({"CapAdd": ["ALL"]}, DENY), ({"CapAdd": ["CAP_CAP_NET_ADMIN"]}, DENY),
    ({"CapAdd": ["NET_ADMIN", "SYS_ADMIN"]}, DENY),
    ({"CgroupParent": "/jobs/1"}, ALLOW), ({"CgroupParent": "/jobs/../x"}, DENY),
    ({"CgroupParent": "/jobs"}, DENY), ({"Runtime": "Runsc"}, DENY),
    ({"PidMode": "container:x"}, ALLOW), ({"PidMode": "host"}, DENY),
    ({"IpcMode": "container:x"}, DENY),
    ({"SecurityOpt": ["seccomp=unconfined"]}, ALLOW),
    ({"SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"]}, DENY),
    ({"MaskedPaths": []}, DENY), ({"Sysctls": {"kernel.shm/x": "1"}}, DENY),
    ({"Sysctls": {"kernel.domainname": "x"}}, ALLOW), ({"Annotations": {"org.xy": "1"}}, DENY)])
def test_what_stays_closed_beside_what_is_open(tmp_path, config, word):
    keys = {"create": {"devices": ["/dev/fuse", "/dev/net/*"], "cgroup-parents": ["/jobs/*"],
                       "capabilities": ["CAP_NET_ADMIN"], "runtimes": ["runsc"],
                       "pid-modes": ["container:*"], "security-options": ["seccomp=unconfined"],
                       "sysctls": ["kernel.domainname"], "annotations": ["org.x.*"]}}
    body = {"Image": "a", "HostConfig": config}
    assert judge(tmp_path, keys, "POST", CREATE, body)["verdict"] == word


@pytest.mark.parametrize("keys, method, target, body, word", [
    # What is opened is judged all the same.
    ({"allow": ["*"]}, "POST", CREATE, {"HostConfig": {"Privileged": True}}, DENY),
    ({"only": ["POST *"]}, "POST", CREATE, {"HostConfig": {"PidMode": "host"}}, DENY),
    ({"allow": ["*"]}, "POST", EXEC, {"Cmd": ["id"], "Privileged": True}, DENY),
    ({"allow": ["*"]}, "POST", UPDATE, {"Devices": [{"PathOnHost": "/dev/sda"}]}, DENY),
    ({"allow": ["*"]}, "POST", UPDATE, {"DeviceCgroupRules": ["a *:* rwm"]}, DENY),
    ({"allow": ["*"]}, "POST", UPDATE, {"CgroupParent": "/x"}, DENY),
    ({"allow": ["*"]}, "POST", UPDATE, {"Privileged": True}, DENY),
    ({"allow": ["*"]}, "POST", UPDATE, {"Memory": 1}, ALLOW),
    ({"allow": ["*"]}, "POST", "/v1.41/containers/a/start", {"Privileged": True}, DENY),
    ({"allow": ["*"]}, "POST", "/v1.41/build?networkmode=host", None, DENY),
    ({"allow": ["*"]}, "POST", "/v1.41/no/such", {}, DENY),
    # deny wins, and holds for every way to say the same.
    ({"allow": ["*"], "deny": ["GET /info"]}, "GET", "/info", None, DENY),
    ({"deny": ["GET /info"]}, "HEAD", "/v1.24/info", None, DENY),
    ({"deny": ["GET /containers/{name}/archive"]}, "HEAD", "/containers/a/archive", None, DENY),
    ({"deny": ["GET /networks*"]}, "GET", "/networks/", None, DENY),
    ({"deny": ["DELETE /containers/{name}"]}, "DELETE", "/containers/a/b", None, DENY),
    # only closes all else, reading too, and what is in no table.
    ({"only": []}, "GET", "/_ping", None, DENY),
    ({"only": ["GET /info"]}, "GET", "/info", None, ALLOW),
    ({"only": ["GET /info"]}, "HEAD", "/_ping", None, DENY),
    ({"only": ["GET /info"]}, "GET", "/v1.41/no/such", None, DENY),
    ({"only": ["GET /info"]}, "OPTIONS", "/info", None, DENY),
    ({"only": ["GET /info"]}, "GET", "/debug/pprof/", None, DENY)])
def test_calls(tmp_path, keys, method, target, body, word):
    assert judge(tmp_path, {"endpoints": keys}, method, target, body)["verdict"] == word


@pytest.mark.parametrize("preset", ["allowlist", "read-only", "ci-runner"])
def test_unknown_calls_stay_closed_in_closed_presets(tmp_path, preset):
    keys = {"preset": preset, "unknown-endpoints": "allow"}
    for method, target in (("POST", "/v1.41/no/such"), ("GET", "/v1.41/no/such"),
                           ("POST", "/v1.41/containers/create/"), ("PUT", "/x")):
        assert judge(tmp_path, keys, method, target, {} if method != "GET" else None)[
            "verdict"] == DENY
