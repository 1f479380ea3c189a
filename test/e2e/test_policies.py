"""Policies with a real engine: what a key opens runs, what it does not is refused, limits are held,
and each preset does what it is for."""

import json
import os
import re
import signal
import subprocess

import pytest

from client import Client, build_request
from docker_engine import IMAGE, Proxied
from proxy_process import REPOSITORY
from recorder import wait_until

SHOWN = re.compile(r"blocked by jailoc proxy: .+ \(([a-z0-9][a-z0-9._-]*)\)")
RUNNER = "e2e-policies"


@pytest.fixture
def under(engine, certificates, tmp_path):
    """under({…}): the engine as seen under a policy with these keys."""
    made = []

    def start(keys, kind="unix-unix"):
        folder = tmp_path / f"proxy{len(made)}"
        folder.mkdir()
        (folder / "policy.json").write_text(json.dumps({"schema": 1} | keys))
        made.append(Proxied(engine, certificates, folder, kind,
                            ["--policy-file", folder / "policy.json"]))
        return made[-1]
    yield start
    left = engine.docker("ps", "-aq", "--filter", f"label={RUNNER}", text=True).stdout.split()
    if left:
        engine.docker("rm", "-f", "-v", *left)
    for proxied in made:
        proxied.proxy.stop()


def refused(proxied, *arguments, rule=None, **options):
    result = proxied.docker(*arguments, check=False, **options)
    assert result.returncode != 0, result
    shown = SHOWN.search(result.stderr)
    assert shown, result.stderr
    assert rule is None or shown[1] == rule, shown[0]


def run(proxied, *arguments, **options):
    return proxied.docker("run", "--rm", "--label", RUNNER, *arguments, **options).stdout


def start(proxied, *arguments, image=IMAGE, command=("sleep", "300")):
    """The id of a container that runs until the end of the test."""
    return proxied.docker("run", "-d", "--label", RUNNER, *arguments, image,
                          *command).stdout.strip()


# Creating containers

@pytest.mark.parametrize("kind", ["unix-unix", "mtls-mtls"])
def test_a_capability(under, kind):
    """It is in the container's set, and no other is."""
    proxied = under({"create": {"capabilities": ["NET_ADMIN"]}}, kind)

    def effective(*options):
        status = run(proxied, *options, IMAGE, "cat", "/proc/self/status")
        return int(re.search(r"CapEff:\s*([0-9a-f]+)", status)[1], 16)
    net_admin = 1 << 12
    assert not effective() & net_admin
    assert effective("--cap-add", "NET_ADMIN") & net_admin
    assert effective("--cap-add", "cap_net_admin") & net_admin
    for other in ("SYS_ADMIN", "ALL", "NET_RAW"):
        refused(proxied, "run", "--cap-add", "NET_ADMIN", "--cap-add", other, IMAGE, "true",
                rule="create.cap-add")


def test_a_bind_for_reading_alone(under, tmp_path):
    folder = tmp_path / "opened"
    (folder / "below").mkdir(parents=True)
    (folder / "file").write_text("from the host\n")
    (folder / "below/file").write_text("from below\n")
    proxied = under({"create": {"binds": [{"path": f"{folder}/**", "read-only": True},
                                          f"{folder}/below"]}})
    assert run(proxied, "-v", f"{folder}:/x:ro", IMAGE, "cat", "/x/file") == "from the host\n"
    mount = f"type=bind,src={folder},dst=/x"
    assert run(proxied, "--mount", mount + ",readonly", IMAGE, "cat", "/x/file") == \
        "from the host\n"
    result = proxied.docker("run", "--rm", "-v", f"{folder}:/x:ro", IMAGE, "sh", "-c",
                            "echo no > /x/file", check=False)
    assert result.returncode != 0 and "Read-only file system" in result.stderr
    for options in (["-v", f"{folder}:/x"], ["-v", f"{folder}:/x:rw"], ["--mount", mount],
                    ["--mount", mount + ",readonly,bind-nonrecursive,bind-propagation=rshared"],
                    ["-v", f"{folder}/../opened2:/x:ro"], ["-v", f"{folder.parent}:/x:ro"],
                    ["-v", "/etc:/x:ro"], ["-v", f"{folder}/docker.sock:/x:ro"]):
        refused(proxied, "run", "--rm", *options, IMAGE, "true")
    # This one is opened for writing by itself.
    run(proxied, "-v", f"{folder}/below:/x", IMAGE, "sh", "-c", "echo changed > /x/file")
    assert (folder / "below/file").read_text() == "changed\n"
    assert (folder / "file").read_text() == "from the host\n"


# Keys, what they open, what of it the engine then says of the container, what stays closed.
OPENED = {
    "privileged": ({"privileged": True}, ["--privileged"], "HostConfig.Privileged", "true", []),
    "device-requests": ({"device-requests": True}, ["--gpus", "all"],
                        "len .HostConfig.DeviceRequests", "1", []),
    "devices": ({"devices": ["/dev/f*"]}, ["--device", "/dev/full:/dev/other"],
                "(index .HostConfig.Devices 0).PathOnHost", "/dev/full",
                ["--device", "/dev/null"]),
    "security-options": ({"security-options": ["seccomp=unconfined"]},
                         ["--security-opt", "seccomp=unconfined"], "HostConfig.SecurityOpt",
                         "[seccomp=unconfined]", ["--security-opt", "apparmor=unconfined"]),
    "systempaths": ({"security-options": ["systempaths=unconfined"]},
                    ["--security-opt", "systempaths=unconfined"], "HostConfig.MaskedPaths", "[]",
                    ["--security-opt", "seccomp=unconfined"]),
    "network": ({"network-modes": ["host"]}, ["--network", "host"], "HostConfig.NetworkMode",
                "host", ["--pid", "host"]),
    "pid": ({"pid-modes": ["host"]}, ["--pid", "host"], "HostConfig.PidMode", "host",
            ["--ipc", "host"]),
    "ipc": ({"ipc-modes": ["host"]}, ["--ipc", "host"], "HostConfig.IpcMode", "host",
            ["--uts", "host"]),
    "uts": ({"uts-modes": ["host"]}, ["--uts", "host"], "HostConfig.UTSMode", "host",
            ["--userns", "host"]),
    "userns": ({"userns-modes": ["host"]}, ["--userns", "host"], "HostConfig.UsernsMode", "host",
               ["--network", "host"]),
    "cgroupns": ({"cgroupns-modes": ["host"]}, ["--cgroupns", "host"], "HostConfig.CgroupnsMode",
                 "host", ["--network", "host"]),
    "cgroup-parents": ({"cgroup-parents": ["/jobs/*"]}, ["--cgroup-parent", "/jobs/1"],
                       "HostConfig.CgroupParent", "/jobs/1", ["--cgroup-parent", "/jobs/../x"]),
    "log-drivers": ({"log-drivers": ["syslog"]},
                    ["--log-driver", "syslog", "--log-opt", "syslog-address=udp://127.0.0.1:9"],
                    "HostConfig.LogConfig.Type", "syslog", ["--log-driver", "gelf"]),
    "volumes-from": ({"volumes-from": True}, ["--volumes-from", "OTHER"],
                     "len .HostConfig.VolumesFrom", "1", ["--privileged"]),
}


@pytest.mark.parametrize("keys, options, field, value, closed", OPENED.values(), ids=OPENED.keys())
def test_what_a_key_opens(under, engine, keys, options, field, value, closed):
    """The engine takes it, and only it, and without the key it never hears of it."""
    closer, opener = under({}), under({"create": keys})
    other = start(closer)
    options = [other if option == "OTHER" else option for option in options]
    refused(closer, "create", "--label", RUNNER, *options, IMAGE, "true")
    made = opener.docker("create", "--label", RUNNER, *options, IMAGE, "true").stdout.strip()
    template = field if " " in field else "." + field
    shown = engine.docker("inspect", "-f", f"{{{{{template}}}}}", made, text=True)
    assert shown.stdout.strip() == value, shown
    if closed:
        refused(opener, "create", "--label", RUNNER, *options, *closed, IMAGE, "true")


@pytest.mark.parametrize("key, field, opened, closed", [
    ("annotations", "Annotations", {"org.example.team": "a"}, {"org.systemd.property.X": "a"}),
    ("sysctls", "Sysctls", {"kernel.domainname": "e2e"}, {"kernel.core_pattern": "|/x"})])
def test_what_old_clients_have_no_option_for(under, key, field, opened, closed):
    """Docker's client of this age has none for annotations, and a list of sysctls of its own."""
    proxied = under({"create": {key: [next(iter(opened))[:-1] + "*"]}})

    def create(values):
        body = {"Image": IMAGE, "Cmd": ["true"], "Labels": {RUNNER: ""},
                "HostConfig": {field: values}}
        with Client(proxied.url) as client:
            response = client.request("POST", "/v1.41/containers/create",
                                      ["Content-Type: application/json"], json.dumps(body).encode())
            return response.status
    assert create(opened) == 201
    assert create(closed) == 403
    assert create(opened | closed) == 403


# Limits

def test_limits(under, engine):
    proxied = under({"limits": {"memory": {"required": True, "max": "64m"},
                                "pids": {"max": 50}, "cpus": {"max": 1}}})
    enough = ["--memory", "32m", "--pids-limit", "20", "--cpus", "0.5"]
    made = start(proxied, *enough)
    shown = engine.docker("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} "
                          "{{.HostConfig.NanoCpus}}", made, text=True)
    assert shown.stdout.split() == [str(32 << 20), "20", "500000000"]
    run(proxied, *enough[:-2], "--cpu-quota", "50000", "--cpu-period", "100000", IMAGE, "true")
    for options, rule in ((enough[2:], "create.limit-memory"), (enough[:2], "create.limit-pids"),
                          (enough[:4], "create.limit-cpus"),
                          ([*enough, "--memory", "65m"], "create.limit-memory"),
                          ([*enough, "--memory", "0"], "create.limit-memory"),
                          ([*enough, "--memory-swap", "-1"], "create.limit-memory"),
                          ([*enough, "--memory-swap", "1g"], "create.limit-memory"),
                          ([*enough, "--pids-limit", "51"], "create.limit-pids"),
                          ([*enough, "--pids-limit", "-1"], "create.limit-pids"),
                          ([*enough, "--pids-limit", "0"], "create.limit-pids"),
                          ([*enough, "--cpus", "1.01"], "create.limit-cpus"),
                          ([*enough[:-2], "--cpu-quota", "-1"], "create.limit-cpus"),
                          ([*enough[:-2], "--cpu-quota", "100001"], "create.limit-cpus")):
        refused(proxied, "run", "--rm", *options, IMAGE, "true", rule=rule)


def test_limits_that_are_required(under):
    proxied = under({"limits": {"memory": {"required": True}, "pids": {"required": True}}})
    refused(proxied, "run", "--rm", IMAGE, "true", rule="create.limit-memory")
    refused(proxied, "run", "--rm", "-m", "32m", IMAGE, "true", rule="create.limit-pids")
    run(proxied, "-m", "32m", "--pids-limit", "10", IMAGE, "true")
    # The words of old clients for the same, where only HostConfig is looked at.
    with Client(proxied.url) as client:
        body = json.dumps({"Image": IMAGE, "Memory": 1 << 25, "PidsLimit": 10}).encode()
        assert client.request("POST", "/v1.41/containers/create",
                              ["Content-Type: application/json"], body).status == 403


def test_update_where_it_is_opened(under, engine):
    proxied = under({"endpoints": {"allow": ["POST /containers/{name}/update"]},
                     "limits": {"memory": {"max": "64m"}}})
    made = start(proxied, "--memory", "32m")
    proxied.docker("update", "--memory", "48m", "--memory-swap", "96m", made)
    proxied.docker("update", "--restart", "no", made)
    for options in (["--memory", "65m"], ["--memory-swap", "-1"]):
        refused(proxied, "update", *options, made)
    assert engine.docker("inspect", "-f", "{{.HostConfig.Memory}}", made,
                         text=True).stdout.strip() == str(48 << 20)


# Images

def test_images_by_name(under, engine):
    for name in ("e2e/approved:1", "e2e/approved:2", "e2e/other:1"):
        engine.docker("tag", IMAGE, name)
    proxied = under({"create": {"images": ["e2e/approved"]}})
    exact = under({"create": {"images": ["docker.io/e2e/approved:1"]}})
    none = under({"create": {"images": []}})
    identity = engine.docker("images", "-q", "--no-trunc", IMAGE, text=True).stdout.strip()
    try:
        for name in ("e2e/approved:1", "e2e/approved:2", "docker.io/e2e/approved:1",
                     "index.docker.io/e2e/approved:1"):
            assert run(proxied, name, "echo", "x") == "x\n"
        run(exact, "e2e/approved:1", "true")
        refused(exact, "run", "--rm", "e2e/approved:2", "true", rule="create.image")
        refused(exact, "run", "--rm", "e2e/approved", "true", rule="create.image")
        for name in ("e2e/other:1", IMAGE, identity, identity[7:19], "localhost/e2e/approved:1",
                     "e2e/approved/x:1", "approved:1"):
            refused(proxied, "run", "--rm", name, "true", rule="create.image")
        refused(none, "run", "--rm", "e2e/approved:1", "true", rule="create.image")
        # By that digest the engine does not find any image of another's name, or by its id.
        result = proxied.docker("run", "--rm", "--pull", "never", f"e2e/approved@{identity}",
                                "true", check=False)
        assert result.returncode != 0 and "No such image" in result.stderr, result
    finally:
        engine.docker("rmi", "e2e/approved:1", "e2e/approved:2", "e2e/other:1")


def test_pull_and_push_by_name(under, engine, registry):
    proxied = under({"images": {"pull": [f"{registry}/in/*", f"{registry}/pinned:1"],
                                "push": [f"{registry}/out/*"]}})
    names = [f"{registry}/{name}" for name in ("in/a:1", "elsewhere/a:1", "pinned:1", "pinned:2",
                                               "out/a:1")]
    digests = {}
    for name in names[:4]:
        engine.docker("tag", IMAGE, name)
        pushed = engine.docker("push", name, text=True).stdout
        digests[name] = re.search(r"sha256:[0-9a-f]{64}", pushed)[0]
        engine.docker("rmi", name)
    try:
        assert "Downloaded newer image" in proxied.docker("pull", names[0]).stdout
        proxied.docker("pull", f"{registry}/in/a@{digests[names[0]]}")
        proxied.docker("pull", names[2])
        for name in (names[1], names[3], f"{registry}/pinned@{digests[names[2]]}",
                     f"{registry}/elsewhere/a@{digests[names[1]]}"):
            refused(proxied, "pull", name, rule="image.pull")
        refused(proxied, "pull", "-a", f"{registry}/pinned", rule="image.pull")

        proxied.docker("tag", IMAGE, names[4])
        assert "digest: sha256:" in proxied.docker("push", names[4]).stdout
        for name in (names[0], f"{registry}/outside/a:1"):
            engine.docker("tag", IMAGE, name)
            refused(proxied, "push", name, rule="image.push")
    finally:
        engine.docker("rmi", "-f", *names, f"{registry}/outside/a:1",
                      f"{registry}/in/a@{digests[names[0]]}")


# Exec

def test_exec_by_its_arguments(under):
    proxied = under({"preset": "ci-runner", "exec": {"commands": [
        ["echo", "*"], ["sh", "-c", "exit [0-9]"], ["ls", "/", "**"], ["cat"], ["env"]],
        "variables": ["JOB_*"]}})
    box = start(proxied, "-u", "1000")
    assert proxied.docker("exec", box, "echo", "a b").stdout == "a b\n"
    assert "bin" in proxied.docker("exec", box, "ls", "/").stdout
    assert "self" in proxied.docker("exec", box, "ls", "/", "-a", "/proc").stdout
    assert proxied.docker("exec", "-i", box, "cat", input="in\n").stdout == "in\n"
    assert "JOB_ID=7" in proxied.docker("exec", "-e", "JOB_ID=7", box, "env").stdout
    for command in (["id"], ["echo"], ["echo", "a", "b"], ["/bin/echo", "a"], ["cat", "/etc/x"],
                    ["sh", "-c", "id"], ["sh", "-c", "exit 1"], ["sh", "-c", "exit [0-9]", "x"],
                    ["sh"], ["ls"], ["ls", "/x"]):
        refused(proxied, "exec", box, *command, rule="exec.command")
    refused(proxied, "exec", "--privileged", box, "echo", "a", rule="exec.privileged")
    refused(proxied, "exec", "-e", "PATH=/x", box, "echo", "a", rule="exec.env")


def test_a_privileged_exec_where_it_is_opened(under):
    """Not run, as the machine of the tests may forbid it: what the engine took is looked at."""
    proxied = under({"preset": "ci-runner", "exec": {"privileged": True}})
    box = start(proxied)
    body = b'{"Cmd": ["id"], "Privileged": true}'
    with Client(proxied.url) as client:
        made = client.request("POST", f"/v1.41/containers/{box}/exec",
                              ["Content-Type: application/json"], body)
        assert made.status == 201
        shown = client.request("GET", f"/v1.41/exec/{made.json()['Id']}/json").json()
        assert shown["ProcessConfig"]["privileged"] is True
    refused(under({"preset": "ci-runner"}), "exec", "--privileged", box, "id",
            rule="exec.privileged")
    refused(under({"exec": {"commands": [["id"]]}}), "exec", box, "id", rule="endpoint.exec-create")


def test_clients_have_policies_of_their_own(under, certificates):
    """By the names in their certificates, over mutual TLS."""
    proxied = under({"preset": "read-only", "clients": [
        {"name": "agent", "match": {"common-name": "agent"},
         "policy": {"preset": "allowlist", "create": {"capabilities": ["NET_ADMIN"]}}}]},
        "mtls-mtls")
    assert run(proxied, "--cap-add", "NET_ADMIN", IMAGE, "echo", "x") == "x\n"
    others = under({"clients": [{"name": "a", "match": {"common-name": "nobody"}}],
                    "other-clients": "deny"}, "mtls-mtls")
    with Client(others.url, certificates / "agent") as client:
        response = client.request("GET", "/info")
        assert response.status == 403 and "(client.unknown)" in response.message()


# Builds

def test_builds(under, engine, tmp_path):
    """The classic builder's; BuildKit's calls are in test_builds.py."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text(f"FROM {IMAGE}\nRUN ip link > /links\n")
    plain = under({})
    closed = under({"build": {"add-hosts": False, "cache-imports": False}})
    opened = under({"build": {"network-host": True}})
    build = ["build", "--no-cache", "-t", "e2e/built:1"]
    context = str(tmp_path / "context")
    try:
        for options, proxied, others in (
                ([], closed, ()), (["--add-host", "a:127.0.0.1"], plain, (closed,)),
                (["--cache-from", IMAGE], plain, (closed,)),
                (["--network", "host"], opened, (plain, closed))):
            proxied.docker(*build, *options, context, timeout=120)
            for other in others:
                refused(other, *build, *options, context)
        links = run(plain, "e2e/built:1", "cat", "/links")
        inside = subprocess.run(["nsenter", "-t", str(engine.pid), "-n", "ip", "link"],
                                capture_output=True, text=True, check=True).stdout
        assert "docker0" in inside and "docker0" in links
        refused(opened, *build, "--network", "host", "--security-opt", "seccomp=unconfined",
                context)
    finally:
        engine.docker("rmi", "-f", "e2e/built:1")


# Reload

@pytest.mark.parametrize("kind", ["unix-unix", "mtls-mtls"])
def test_reload_while_a_log_is_followed(under, kind):
    proxied = under({"preset": "ci-runner"}, kind)
    path = proxied.directory / "policy.json"
    box = start(proxied, "-i", command=(
        "sh", "-c", 'while read x && test "$x" != end; do echo "$x"; done'))
    follow = proxied.popen("logs", "-f", box, stdout=subprocess.PIPE, text=True)
    typing = proxied.popen("attach", "--sig-proxy=false", box, stdin=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, text=True)

    def say(word):
        typing.stdin.write(word + "\n")
        typing.stdin.flush()
        assert follow.stdout.readline() == word + "\n"

    def reload(policy):
        path.write_text(policy)
        before = proxied.proxy.log().count("event=reload ")
        os.kill(proxied.proxy.pid, signal.SIGHUP)
        wait_until(lambda: proxied.proxy.log().count("event=reload ") > before, 10, "the reload")
    try:
        say("before")
        assert proxied.docker("exec", box, "echo", "x").stdout == "x\n"
        reload('{"schema": 1, "preset": "read-only"}')
        say("under another policy")
        refused(proxied, "exec", box, "echo", "x")
        reload('{"schema": 1, "preset": "ci-runner", }')
        assert f"{path}:1:38: this is not plain JSON" in proxied.proxy.log()
        say("after a bad one")
        refused(proxied, "exec", box, "echo", "x")
        reload('{"schema": 1, "preset": "ci-runner"}')
        assert proxied.docker("exec", box, "echo", "x").stdout == "x\n"
        typing.stdin.write("end\n")
        typing.stdin.close()
        assert typing.wait(10) == 0 and follow.wait(10) == 0
    finally:
        for process in (follow, typing):
            process.kill()
            process.wait()
        follow.stdout.close()


# Presets

BREAKOUTS = {
    "privileged": ["run", "--rm", "--privileged", IMAGE, "true"],
    "pid": ["run", "--rm", "--pid", "host", IMAGE, "true"],
    "network": ["run", "--rm", "--network", "host", IMAGE, "true"],
    "capability": ["run", "--rm", "--cap-add", "SYS_ADMIN", IMAGE, "true"],
    "device": ["run", "--rm", "--device", "/dev/null", IMAGE, "true"],
    "root": ["run", "--rm", "-v", "/:/x", IMAGE, "true"],
    "socket": ["run", "--rm", "-v", "/var/run/docker.sock:/s", IMAGE, "true"],
    "seccomp": ["run", "--rm", "--security-opt", "seccomp=unconfined", IMAGE, "true"],
    "privileged-exec": ["exec", "--privileged", "BOX", "id"],
    "update": ["update", "--restart", "always", "BOX"],
    "copy-in": ["cp", "/etc/hostname", "BOX:/"],
    "volume": ["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/", "x"],
    "plugin": ["plugin", "install", "--grant-all-permissions", "some/plugin"],
    "swarm": ["swarm", "init"],
    "prune": ["system", "prune", "-f"],
}


@pytest.mark.parametrize("arguments", BREAKOUTS.values(), ids=BREAKOUTS.keys())
def test_what_a_runner_may_not(under, arguments):
    proxied = under({"preset": "ci-runner"})
    box = start(proxied)
    refused(proxied, *(argument.replace("BOX", box) for argument in arguments))


def test_a_runner_as_gitlab_has_it(under, registry, tmp_path):
    """Volumes and a network of the job, a service, a container whose shell reads the script from
    its standard input; then artifacts are copied out."""
    proxied = under({"preset": "ci-runner"})
    volume = proxied.docker("volume", "create", "--label", RUNNER).stdout.strip()
    network = f"{RUNNER}-net"
    proxied.docker("network", "create", "--label", RUNNER, network)
    try:
        start(proxied, "--network", network, "--name", "e2e-service", "--network-alias", "service",
              command=("sh", "-c", "while true; do echo served | nc -l -p 80; done"))
        box = proxied.docker("create", "-i", "--label", RUNNER, "--network", network, "-v",
                             f"{volume}:/builds", "-w", "/builds", IMAGE, "sh").stdout.strip()
        script = ("set -e\necho step\nnc service 80 </dev/null\nmkdir out\n"
                  "echo made > out/artifact\n")
        assert wait_until(lambda: proxied.docker("start", "-a", "-i", box, input=script,
                                                 check=False).stdout == "step\nserved\n", 20)
        assert proxied.docker("wait", box).stdout == "0\n"
        proxied.docker("cp", f"{box}:/builds/out", str(tmp_path))
        assert (tmp_path / "out/artifact").read_text() == "made\n"
        assert "step" in proxied.docker("logs", box).stdout
        proxied.docker("rm", "-f", "-v", box, "e2e-service")
    finally:
        proxied.engine.docker("rm", "-f", "-v", "e2e-service")
        proxied.engine.docker("network", "rm", network)
        proxied.engine.docker("volume", "rm", "-f", volume)


def test_a_runner_as_github_has_it(under, registry, tmp_path):
    """A container that does nothing, into which each step is executed; then build and push."""
    proxied = under({"preset": "ci-runner"})
    box = start(proxied, "-e", "CI=1", "--entrypoint", "sleep", command=("300",))
    assert proxied.docker("exec", "-w", "/bin", "-e", "STEP=1", box, "sh", "-ec",
                          "echo $CI$STEP > f; cat f").stdout == "11\n"
    assert proxied.docker("exec", "-i", box, "sh", input="echo from stdin; exit 4\n",
                          check=False).returncode == 4
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo built > /built\n")
    name = f"{registry}/ci/app:1"
    try:
        proxied.docker("build", "-t", name, str(tmp_path / "context"), timeout=120)
        assert "digest: sha256:" in proxied.docker("push", name).stdout
        proxied.docker("commit", box, "e2e/snapshot:1")
        assert run(proxied, "--entrypoint", "cat", "e2e/snapshot:1", "/bin/f") == "11\n"
    finally:
        proxied.docker("rm", "-f", box)
        proxied.engine.docker("rmi", "-f", name, "e2e/snapshot:1")


def test_a_runner_as_testcontainers_has_it(under, registry, engine):
    """The calls that its libraries make, in their order, by an old client's and by new versions."""
    proxied = under({"preset": "ci-runner"})
    name = f"{registry}/tc/image:1"
    engine.docker("tag", IMAGE, name)
    engine.docker("push", name)
    engine.docker("rmi", name)
    client = Client(proxied.url, timeout=60)

    def call(method, target, body=None):
        raw = json.dumps(body).encode() if body is not None else b"" if method == "POST" else None
        headers = ["Content-Type: application/json"] if body is not None else []
        response = client.request(method, target, headers, raw)
        assert response.status < 300, (method, target, response.status, response.body[:300])
        return json.loads(response.body) if response.body[:1] in (b"{", b"[") and \
            "images/create" not in target else response.body
    try:
        assert call("GET", "/_ping") == b"OK"
        version = call("GET", "/version")["ApiVersion"]
        call("GET", f"/v{version}/info")
        call("POST", f"/v1.32/images/create?fromImage={registry}/tc/image&tag=1")
        call("GET", f"/v1.32/images/{registry.replace(':', '%3A')}%2Ftc%2Fimage:1/json")
        made = call("POST", f"/v{version}/containers/create", {
            "Image": name, "Cmd": ["sh", "-c", "echo ready; sleep 100"],
            "Labels": {"org.testcontainers": "true", RUNNER: ""}, "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]},
                           "AutoRemove": False}})["Id"]
        call("POST", f"/v1.41/containers/{made}/start")
        shown = call("GET", f"/v1.41/containers/{made}/json")
        assert shown["State"]["Running"]
        assert shown["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].isdigit()
        wait_until(lambda: b"ready" in call(
            "GET", f"/v1.41/containers/{made}/logs?stdout=true&stderr=true"), 10, "its log")
        ran = call("POST", f"/v1.41/containers/{made}/exec",
                   {"AttachStdout": True, "AttachStderr": True,
                    "Cmd": ["sh", "-c", "exit 3"]})["Id"]
        call("POST", f"/v1.41/exec/{ran}/start", {"Detach": True, "Tty": False})
        wait_until(lambda: not call("GET", f"/v1.41/exec/{ran}/json")["Running"], 10, "its end")
        assert call("GET", f"/v1.41/exec/{ran}/json")["ExitCode"] == 3
        call("GET", "/v1.41/containers/json?all=true"
             f"&filters=%7B%22label%22%3A%5B%22{RUNNER}%22%5D%7D")
        call("POST", f"/v1.41/containers/{made}/stop?t=0")
        call("DELETE", f"/v1.41/containers/{made}?v=true&force=true")
    finally:
        client.close()
        engine.docker("rmi", "-f", name)


def test_looking_read_only(under, engine):
    proxied = under({"preset": "read-only"})
    box = start(under({}), "--name", "e2e-watched", command=("sh", "-c", "echo out; sleep 300"))
    assert box[:12] in proxied.docker("ps", "-q").stdout
    wait_until(lambda: "out" in proxied.docker("logs", box).stdout, 10, "its log")
    assert proxied.docker("inspect", "-f", "{{.Name}}", box).stdout == "/e2e-watched\n"
    assert "sleep" in proxied.docker("top", box).stdout
    proxied.docker("stats", "--no-stream", box)
    for arguments in (["version"], ["info"], ["images"], ["network", "ls"], ["volume", "ls"],
                      ["image", "history", IMAGE], ["diff", box], ["port", box],
                      ["system", "df"], ["events", "--since", "1", "--until", "2"]):
        proxied.docker(*arguments)
    refused(proxied, "stop", box)
    # Where it asked for an upgrade the client tells the status alone.
    assert "403" in proxied.docker("attach", box, check=False).stderr
    refused(proxied, "exec", box, "id")
    # From before the container was made on, and then as they happen.
    follow = proxied.popen("events", "--since", "1", "--filter", f"container={box}", "--format",
                           "{{.Action}}", stdout=subprocess.PIPE, text=True)
    try:
        assert follow.stdout.readline() == "create\n"
        engine.docker("rm", "-f", box)
        assert "destroy\n" in iter(follow.stdout.readline, "")
    finally:
        follow.kill()
        follow.wait()
        follow.stdout.close()


def table():
    """[(method, path, what read-only does)] of filter/endpoints.md."""
    rows = []
    for line in (REPOSITORY / "filter/endpoints.md").read_text().splitlines():
        match = re.fullmatch(r"\| `(\S+) (/\S*)` \| (.*) \|", line)
        if match:
            rows.append((match[1], match[2], match[3].split(" | ")[3].strip("*")))
    return rows


QUERIES = {"/events": "?until=1", "/containers/{name}/stats": "?stream=false&one-shot=true",
           "/containers/{name}/logs": "?stdout=true", "/images/get": f"?names={IMAGE}",
           "/containers/{name}/archive": "?path=/bin/sh", "/images/search": "?term=x"}
# The engine asks the world outside, and waits long for it.
OUTSIDE = ("/images/search", "/distribution/{name}/json")


def state(engine):
    """What a call could have changed."""
    look = [["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"],
            ["images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"],
            ["network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}"],
            ["volume", "ls", "--format", "{{.Name}}"], ["plugin", "ls"],
            ["info", "-f", "{{.Swarm.LocalNodeState}} {{.ContainersPaused}}"]]
    return [sorted(engine.docker(*arguments, text=True).stdout.splitlines()) for arguments in look]


def test_read_only_row_by_row(under, engine):
    """Every call there is, at objects that there are: nothing that changes anything gets through,
    and what reads does."""
    everything, proxied = under({}), under({"preset": "read-only"})
    box = start(everything, "--name", "e2e-box")
    engine.docker("volume", "create", "e2e-box")
    engine.docker("network", "create", "e2e-box")
    engine.docker("tag", IMAGE, "e2e-box:latest")
    try:
        before = state(engine)
        rows = table()
        assert len(rows) > 110
        for method, path, word in rows:
            target = "/v1.41" + path.replace("{name}", "e2e-box").replace("{id}", "e2e-box")
            for verb in ("GET", "POST", "DELETE") if method == "*" else (method,):
                body = b"{}" if verb in ("POST", "PUT", "DELETE") else None
                headers = ["Content-Type: application/json"] if body else []
                if word != "refuse" and path in OUTSIDE:
                    continue
                with Client(proxied.url, timeout=30) as client:
                    client.send(build_request(verb, target + QUERIES.get(path, ""), headers, body))
                    response = client.read_head()
                    if word == "refuse":
                        assert response.status == 403, (verb, path, response.raw_head)
                        assert response.get("content-type") == "application/json"
                    else:
                        assert verb in ("GET", "HEAD"), (verb, path)
                        assert response.status in (200, 404, 503), (verb, path, response.raw_head)
        # Nothing of it is kept from whoever may.
        assert state(engine) == before
        with Client(everything.url) as client:
            assert client.request("POST", f"/v1.41/containers/{box}/kill", body=b"").status == 204
        assert state(engine) != before
    finally:
        engine.docker("rm", "-f", "e2e-box")
        engine.docker("volume", "rm", "e2e-box")
        engine.docker("network", "rm", "e2e-box")
        engine.docker("rmi", "e2e-box:latest")
