"""Which of the policy's clients somebody is: by certificate, by user, by listener. With ownership the
name is in what goes to the engine, so that is where it is looked for."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from client import Client
from proxy_process import Proxy, free_port
from recorder import Recorder
from tenants import Authority, client_named, client_of, policy

CLIENTS = (
    client_named("by-cn-and-san", common_name="both", alt_name="both.example"),
    client_named("by-cn", common_name="job-*"),
    client_named("by-dns", alt_name="*.ci.example"),
    client_named("by-mail", alt_name="ci@mail.example"),
    client_named("by-uri", alt_name="spiffe://ci.example/job/*"),
    client_named("by-ip4", alt_name="192.0.2.7"),
    client_named("by-ip6", alt_name="2001:db8::7"),
)
# Folder, subject, alternative names, owner.
CERTIFICATES = (
    ("cn", "/CN=job-1", None, "by-cn"),
    ("dns", "/CN=x", "DNS:one.example, DNS:job.ci.example", "by-dns"),
    ("mail", "/CN=x", "email:ci@mail.example", "by-mail"),
    ("uri", "/CN=x", "URI:spiffe://ci.example/job/7", "by-uri"),
    ("ip4", "/CN=x", "IP:192.0.2.7", "by-ip4"),
    ("ip6", "/CN=x", "IP:2001:db8::7", "by-ip6"),
    ("no-cn", "/O=x", "DNS:job.ci.example", "by-dns"),
    ("first", "/CN=job-2", "DNS:job.ci.example", "by-cn"),
    ("both", "/CN=both", "DNS:both.example", "by-cn-and-san"),
    ("half", "/CN=both", "DNS:other.example", "cn%3Aboth"),
    ("none", "/CN=some body", "DNS:other.example", "cn%3Asome%2520body"),
)


def owner_seen(recorder, mark):
    (head, _), = recorder.requests(mark)
    return re.search(rb"jailoc\.owner%3D([^&]*?)%22", head)[1].decode()


class World:
    def __init__(self, directory, certificates):
        self.recorder = Recorder(f"unix://{directory}/engine.sock")
        self.authority = Authority(directory / "ca", certificates / "agent/ca.pem")
        self.url = f"tcp://127.0.0.1:{free_port()}"
        server = certificates / "proxy"
        file = policy(directory / "policy.json", *CLIENTS)
        self.proxy = Proxy([self.url], self.recorder.url,
                           ["--policy-file", file, "--tls-cert", server / "cert.pem", "--tls-key",
                            server / "key.pem", "--tls-client-ca", self.authority.ca],
                           directory / "proxy.log")
        self.folders = {name: self.authority.certificate(name, subject, names)
                        for name, subject, names, _ in CERTIFICATES}


@pytest.fixture(scope="module")
def world(tmp_path_factory, certificates):
    made = World(tmp_path_factory.mktemp("identity"), certificates)
    yield made
    made.proxy.stop()
    made.recorder.close()


@pytest.mark.parametrize("folder,owner", [(c[0], c[3]) for c in CERTIFICATES])
def test_certificates(world, folder, owner):
    mark = world.recorder.mark()
    with Client(world.url, world.folders[folder]) as client:
        assert client.request("GET", "/networks").status == 200
    assert owner_seen(world.recorder, mark) == owner


def test_openssl(world):
    """The same with the command that everybody has."""
    folder = world.folders["dns"]
    mark = world.recorder.mark()
    result = subprocess.run(
        ["openssl", "s_client", "-quiet", "-connect", world.url.removeprefix("tcp://"), "-CAfile",
         folder / "ca.pem", "-cert", folder / "cert.pem", "-key", folder / "key.pem"],
        input=b"GET /networks HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n",
        capture_output=True, timeout=20)
    assert b"200 OK" in result.stdout, result.stderr
    assert owner_seen(world.recorder, mark) == "by-dns"


@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))
@pytest.mark.parametrize("folder,owner", [("dns", "by-dns"), ("cn", "by-cn"), ("ip6", "by-ip6")])
def test_a_resumed_session_has_the_names_of_the_first(world, version, folder, owner):
    certs = world.folders[folder]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certs / "cert.pem", certs / "key.pem")
    context.load_verify_locations(certs / "ca.pem")
    context.minimum_version = context.maximum_version = version
    host, port = world.url.removeprefix("tcp://").split(":")
    session = None
    for resumed in (False, True):
        mark = world.recorder.mark()
        with context.wrap_socket(socket.create_connection((host, int(port))),
                                 server_hostname="localhost", session=session) as stream:
            stream.sendall(b"GET /networks HTTP/1.1\r\nHost: docker\r\n\r\n")
            assert stream.recv(4096).startswith(b"HTTP/1.1 200")
            assert stream.session_reused == resumed
            session = stream.session
        assert owner_seen(world.recorder, mark) == owner


def test_too_many_names_are_refused(world):
    """Who is only partly known might pass for somebody else."""
    names = ", ".join(f"DNS:n{i}.ci.example" for i in range(65))
    folder = world.authority.certificate("many", "/CN=job-1", names)
    with pytest.raises((OSError, AssertionError)):
        with Client(world.url, folder) as client:
            client.request("GET", "/networks")
    most = ", ".join(f"DNS:n{i}.ci.example" for i in range(64))
    folder = world.authority.certificate("most", "/CN=x", most)
    mark = world.recorder.mark()
    with Client(world.url, folder) as client:
        assert client.request("GET", "/networks").status == 200
    assert owner_seen(world.recorder, mark) == "by-dns"


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming other users takes root")
def test_users_groups_and_listeners(tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="dp-identity-"))
    folder.chmod(0o711)
    recorder = Recorder(f"unix://{folder}/engine.sock")
    urls = [f"unix://{folder}/{name}.sock" for name in ("one", "two")]
    file = policy(tmp_path / "policy.json", client_named("user", uid=4000001),
                  client_named("group", gid=4000002), client_named("door", listener=urls[1]))
    proxy = Proxy([url + "?mode=0666" for url in urls], recorder.url, ["--policy-file", file],
                  tmp_path / "proxy.log")
    try:
        for url, uid, gid, owner in ((urls[0], 4000001, 4000002, "user"),
                                     (urls[1], 4000001, 5, "user"),
                                     (urls[0], 4000003, 4000002, "group"),
                                     (urls[1], 4000003, 5, "door"),
                                     (urls[0], 4000003, 5, "uid%3A4000003")):
            mark = recorder.mark()
            with client_of(url, uid, gid=gid) as client:
                assert client.request("GET", "/volumes").status == 200
            assert owner_seen(recorder, mark) == owner
    finally:
        proxy.stop()
        recorder.close()
        shutil.rmtree(folder)
