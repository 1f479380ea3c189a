"""Two clients of one engine, told apart by their user ids or by their certificates."""

import json
import socket
import subprocess
import sys

from client import Client
from streams import Stream

# Nobody's on any machine.
UIDS = {"a": 4000001, "b": 4000002}
CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
"""


def policy(path, *clients, **keys):
    """Writes a policy file; its name."""
    path.write_text(json.dumps({"schema": 1, "ownership": True, **keys,
                                **({"clients": list(clients)} if clients else {})}))
    return path


def client_named(name, policy_of_it=None, **match):
    entry = {"name": name, "match": {k.replace("_", "-"): v for k, v in match.items()}}
    return entry | ({"policy": policy_of_it} if policy_of_it else {})


CONNECT = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).connect(sys.argv[2])"


def client_of(url, uid, timeout=10, gid=0, groups=()):
    """A client that shows this user and group to the other end of a unix socket, which are those of
    whoever connects it: a process of its own. The C library's seteuid sends a signal to every
    thread, and one that still waits for a socket closed under it then waits for whichever has its
    number by now, whose bytes it takes away."""
    sock = socket.socket(socket.AF_UNIX)
    subprocess.run([sys.executable, "-I", "-S", "-c", CONNECT, str(sock.fileno()),
                    url.removeprefix("unix://")], user=uid, group=gid, extra_groups=groups,
                   pass_fds=[sock.fileno()], check=True, timeout=30)
    return Client(stream=Stream(sock, timeout))


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A CA whose certificates name whomever a test wants."""

    def __init__(self, directory, server_ca):
        self.directory = directory
        self.server_ca = server_ca  # what the proxy's own certificate chains to
        directory.mkdir()
        self.configuration = directory / "openssl.cnf"
        self.configuration.write_text(CONFIGURATION)
        self.ca = directory / "ca.pem"
        openssl("req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", directory / "ca.key", "-out", self.ca, "-days", "2",
                "-config", self.configuration, "-extensions", "ca", "-subj", "/CN=tenants")

    def certificate(self, folder, subject, names=None):
        """A folder as DOCKER_CERT_PATH has it."""
        to = self.directory / folder
        to.mkdir()
        extension = to / "extension"
        extension.write_text(CONFIGURATION + (f"subjectAltName = {names}\n" if names else ""))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", to / "key.pem", "-out", to / "request", "-config", self.configuration,
                "-subj", subject)
        openssl("x509", "-req", "-in", to / "request", "-CA", self.ca, "-CAkey",
                self.directory / "ca.key", "-CAcreateserial", "-days", "2", "-out",
                to / "cert.pem", "-extfile", extension, "-extensions", "leaf")
        (to / "ca.pem").write_bytes(self.server_ca.read_bytes())
        return to
