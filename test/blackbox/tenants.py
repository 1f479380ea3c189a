"""Two clients of one engine, told apart by their user ids or by their certificates."""

import contextlib
import json
import os
import subprocess
import sys

from client import Client

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


@contextlib.contextmanager
def user(uid):
    """What is connected inside shows `uid` to the other end of a unix socket."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def client_of(url, uid, timeout=10):
    with user(uid):
        return Client(url, timeout=timeout)


# Prints the status of the answer. In a process of its own, since a group changes for all of one.
ASK = """
import socket, sys
stream = socket.socket(socket.AF_UNIX)
stream.settimeout(20)
stream.connect(sys.argv[1])
stream.sendall(sys.argv[2].encode() + b" HTTP/1.1\\r\\nHost: docker\\r\\n\\r\\n")
print(stream.recv(65536).split()[1].decode())
"""


def ask_as(user, group, path, request, extra_groups=()):
    """The status that a process of this user and group gets on a unix socket, for "METHOD TARGET"."""
    result = subprocess.run([sys.executable, "-c", ASK, path, request], user=user, group=group,
                            extra_groups=extra_groups, capture_output=True, text=True, cwd="/",
                            timeout=60)
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


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
