"""The agent's entrypoint in network namespaces of the test's own: what it closes, what it refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import DEPLOY, need
from recorder import wait_until

ENTRYPOINT = DEPLOY / "agent/entrypoint.sh"
DIND = {4: "10.99.0.2", 6: "fd99::2"}
AGENT = {4: "10.99.0.1", 6: "fd99::1"}
PORTS = (2375, 2376, 2377)

# What the agent can reach and what it is, as JSON.
LOOK = """
import json, os, socket, subprocess
reached = {}
for family, address in json.loads(%r):
    for port in %r:
        try:
            socket.create_connection((address, port), 0.5).close()
            reached[f"{address} {port}"] = "open"
        except OSError as error:
            reached[f"{address} {port}"] = type(error).__name__
status = dict(l.partition(":")[::2] for l in open("/proc/self/status"))
flush = subprocess.run(["/usr/sbin/iptables", "-F", "JAILOC-OUTPUT"], capture_output=True)
print(json.dumps({"reached": reached, "uid": os.getresuid(), "gid": os.getresgid(),
    "groups": os.getgroups(), "caps": {k: int(status[k], 16) for k in status if k.startswith("Cap")},
    "no_new_privs": int(status["NoNewPrivs"]), "flush": flush.returncode}))
""" % (json.dumps(sorted(DIND.items())), PORTS)
LISTEN = """
import socket, sys, time
sockets = [socket.create_server((a, p), family=f) for p in %r for a, f in
           (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6))]
print("listening", flush=True)
sys.stdin.read()
""" % (PORTS,)


class World:
    """A namespace with dind's listeners, one with the agent, to which all of them are open; a hosts file
    that names dind."""

    def __init__(self, directory):
        self.directory = directory
        self.hosts = directory / "hosts"
        self.name("dind", DIND[4], DIND[6])
        self.processes = []
        self.dind = self.namespace()
        self.agent = self.namespace()
        run(["ip", "link", "add", "agent0", "type", "veth", "peer", "name", "dind0", "netns",
             str(self.dind)], self.agent)
        for pid, device, addresses in ((self.agent, "agent0", AGENT), (self.dind, "dind0", DIND)):
            run(["ip", "addr", "add", f"{addresses[4]}/24", "dev", device], pid)
            run(["ip", "addr", "add", f"{addresses[6]}/64", "dev", device, "nodad"], pid)
            for link in (device, "lo"):
                run(["ip", "link", "set", link, "up"], pid)
        self.listener = self.start([sys.executable, "-c", LISTEN], self.dind)
        assert self.listener.stdout.readline() == "listening\n"
        # Until the link is up and neighbours know each other.
        wait_until(lambda: set(self.look(entrypoint=None)["reached"].values()) == {"open"}, 20,
                   "a way from the agent to dind")

    def start(self, command, pid):
        process = subprocess.Popen(["nsenter", f"--net=/proc/{pid}/ns/net", *command],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def namespace(self):
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; read x"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "up\n"
        self.processes.append(process)
        return process.pid

    def name(self, name, *addresses):
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(
            f"{address} {name}\n" for address in addresses))

    def enter(self, *command, entrypoint=ENTRYPOINT, path=None, **environment):
        """Runs the entrypoint in the agent's namespace, with the hosts file in place."""
        script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        words = [entrypoint, *command] if entrypoint else command
        return subprocess.run(
            ["nsenter", f"--net=/proc/{self.agent}/ns/net", "unshare", "--mount", "sh", "-c",
             script, "sh", self.hosts, *words], capture_output=True, text=True, timeout=60,
            env={"PATH": path or os.environ["PATH"], "JAILOC_RESOLVE_SECONDS": "1"} | environment)

    def look(self, **options):
        result = self.enter("/usr/bin/python3", "-c", LOOK, **options)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def rules(self, command="iptables"):
        return run([command, "-w", "-S"], self.agent).splitlines()

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stdin.close()


def run(command, pid):
    result = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command],
                            capture_output=True, text=True)
    assert result.returncode == 0, (command, result.stderr)
    return result.stdout


@pytest.fixture
def world(tmp_path):
    need("unshare", "nsenter", "ip", "iptables", "setpriv")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    made = World(tmp_path)
    yield made
    made.close()


def variant_path(directory, *names):
    """A PATH on which iptables and ip6tables are these and no others."""
    directory.mkdir()
    for folder in ("/usr/bin", "/usr/sbin", "/sbin", "/bin"):
        for program in Path(folder).glob("*"):
            if "tables" not in program.name and not (directory / program.name).exists():
                (directory / program.name).symlink_to(program)
    for name in names:
        for family in ("ip", "ip6"):
            for suffix in ("", "-restore"):
                program = shutil.which(f"{family}tables-{name}{suffix}")
                if not program:
                    pytest.skip(f"{family}tables-{name}{suffix} is not installed")
                (directory / f"{family}tables-{name}{suffix}").symlink_to(program)
    return str(directory)


def closed(seen):
    """Both of dind's ports over both families, and no other port."""
    return {key for key, what in seen["reached"].items() if what != "open"} == {
        f"{address} {port}" for address in DIND.values() for port in (2375, 2376)}


def test_dinds_ports_are_dropped(world):
    """DROP, not refuse: a connection attempt gets no answer."""
    seen = world.look()
    assert closed(seen), seen["reached"]
    assert {what for what in seen["reached"].values()} == {"open", "TimeoutError"}


def test_the_rules_are_those_of_the_issue(world):
    world.look()
    assert [rule for rule in world.rules() if "JAILOC" in rule] == [
        "-N JAILOC-OUTPUT", "-A OUTPUT -j JAILOC-OUTPUT",
        f"-A JAILOC-OUTPUT -d {DIND[4]}/32 -p tcp -m tcp --dport 2375 -j DROP",
        f"-A JAILOC-OUTPUT -d {DIND[4]}/32 -p tcp -m tcp --dport 2376 -j DROP"]
    assert f"-A JAILOC-OUTPUT -d {DIND[6]}/128 -p tcp -m tcp --dport 2376 -j DROP" \
        in world.rules("ip6tables")


def test_root_is_given_up(world):
    seen = world.look()
    assert seen["uid"] == seen["gid"] == [1000] * 3 and seen["groups"] == []
    assert set(seen["caps"].values()) == {0}, seen["caps"]
    assert seen["no_new_privs"] == 1
    assert seen["flush"] != 0
    assert world.look(JAILOC_USER="1234:56")["gid"] == [56] * 3


@pytest.mark.parametrize("variant", ("nft", "legacy"))
def test_either_variant_alone(world, tmp_path, variant):
    seen = world.look(path=variant_path(tmp_path / "path", variant))
    assert closed(seen), seen["reached"]
    assert any("2376 -j DROP" in rule for rule in world.rules(f"iptables-{variant}"))


def test_again_leaves_the_same_rules(world):
    world.look()
    before = world.rules(), world.rules("ip6tables")
    assert closed(world.look())
    assert (world.rules(), world.rules("ip6tables")) == before


def test_rules_of_others_do_not_come_first(world):
    """A rule that accepts dind, put before by somebody, and a second jump."""
    world.look()
    run(["iptables", "-I", "OUTPUT", "1", "-d", DIND[4], "-j", "ACCEPT"], world.agent)
    run(["iptables", "-A", "OUTPUT", "-j", "JAILOC-OUTPUT"], world.agent)
    seen = world.look()
    assert closed(seen), seen["reached"]
    output = [rule for rule in world.rules() if rule.startswith("-A OUTPUT")]
    assert output == ["-A OUTPUT -j JAILOC-OUTPUT", f"-A OUTPUT -d {DIND[4]}/32 -j ACCEPT"]


def test_an_address_that_changed_is_closed_and_the_old_one_opened(world):
    world.look()
    world.name("dind", "10.99.0.77")
    world.look()
    assert not any(DIND[4] in rule for rule in world.rules())
    assert any("10.99.0.77" in rule for rule in world.rules())


def test_a_name_that_does_not_resolve_is_an_error(world):
    world.name("other", DIND[4])
    result = world.enter("touch", str(world.directory / "ran"))
    assert result.returncode == 1 and "dind does not resolve" in result.stderr, result
    assert not (world.directory / "ran").exists()


def test_unless_dind_is_elsewhere(world):
    world.name("other", DIND[4])
    result = world.enter("id", "-u", JAILOC_DIND_ELSEWHERE="1")
    assert (result.returncode, result.stdout) == (0, "1000\n"), result
    # What resolves is closed all the same, here by address too.
    assert closed(world.look(JAILOC_DIND_ELSEWHERE="1", JAILOC_DIND=f"dind {DIND[4]} {DIND[6]}"))


def test_no_iptables_is_an_error(world, tmp_path):
    result = world.enter("true", path=variant_path(tmp_path / "path"))
    assert result.returncode == 1 and "neither iptables" in result.stderr, result


def test_no_ip6tables_is_an_error_where_there_is_ipv6(world, tmp_path):
    path = variant_path(tmp_path / "path", "nft")
    for name in ("ip6tables-nft", "ip6tables-nft-restore"):
        (Path(path) / name).unlink()
    result = world.enter("true", path=path)
    assert result.returncode == 1 and "no ip6tables works" in result.stderr, result


def test_busyboxs_setpriv_is_no_way_to_drop_root(world, tmp_path):
    """It knows no --reuid; with none but it, nothing runs. Run by busybox's shell, which prefers its
    own applets to programs, the real one is found."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("busybox is not installed")
    path = variant_path(tmp_path / "path", "nft")
    result = world.enter(busybox, "sh", ENTRYPOINT, "id", "-u", entrypoint=None, path=path)
    assert (result.returncode, result.stdout) == (0, "1000\n"), result
    (Path(path) / "setpriv").unlink()
    (Path(path) / "setpriv").symlink_to(busybox)
    result = world.enter("id", path=path)
    assert result.returncode == 1 and "setpriv" in result.stderr and not result.stdout, result


def test_without_rights_nothing_runs(world):
    result = world.enter("setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", ENTRYPOINT,
                         "id", entrypoint=None)
    assert result.returncode == 1 and result.stdout == "" and "FATAL" in result.stderr, result


@pytest.mark.parametrize("user", ("0", "0:0", "1000:0", "root", "1:2:3", ":", "5:"))
def test_users_that_are_not_taken(world, user):
    result = world.enter("id", JAILOC_USER=user)
    assert result.returncode == 1 and "JAILOC_USER" in result.stderr, result


def test_the_commands_status_and_words_are_its_own(world):
    result = world.enter("sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", "a b", "", "c'd")
    assert (result.returncode, result.stdout) == (7, "a b||c'd|"), result
