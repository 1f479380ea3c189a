"""dind-proxy certs: what it makes, judged by openssl(1), by the proxy itself and by the file system."""

import datetime
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from client import Client
from proxy_process import Proxy, binary, clean_environment, free_port
from recorder import Recorder, answer_ok

OK, FAILED, USAGE = 0, 1, 2
LEAVES = ("agent", "proxy/server", "proxy/client", "dind/server", "dind/client")
AUTHORITIES = ("agent-ca", "dind/ca")


def certs(folder, *options, env=None, status=OK, umask=0o022, user=None):
    result = subprocess.run([binary(), "certs", "--dir", folder, *map(str, options)], text=True,
                            capture_output=True, env=clean_environment() | (env or {}),
                            umask=umask, timeout=60, user=user)
    assert result.returncode == status, result
    if status == OK:
        assert result.stderr == "", result
    else:
        assert "Sanitizer" not in result.stderr, result
    return result


def openssl(*arguments, check=True, **options):
    result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                            **options)
    if check:
        assert result.returncode == 0, result
    return result


def snapshot(folder):
    """Every file with its content, mode, owner, inode and time."""
    return {path.relative_to(folder): (path.read_bytes(), path.stat())
            for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def verifies(authority, certificate, purpose, *options):
    return openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", authority, *options,
                   certificate, check=False).returncode == 0


def dates(certificate):
    text = openssl("x509", "-noout", "-dates", "-in", certificate).stdout
    return [datetime.datetime.strptime(value.strip(), "%b %d %H:%M:%S %Y GMT")
            for value in re.findall("=(.*)", text)]


def days_left(certificate):
    return (dates(certificate)[1] - datetime.datetime.utcnow()).total_seconds() / 86400


def public_key(path, of="x509"):
    return openssl(*([of, "-noout", "-pubkey"] if of == "x509" else [of, "-pubout"]), "-in",
                   path).stdout


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "certs"
    certs(folder)
    return folder


# What is made

def test_split(made):
    for purpose, leaf, authority, names in (
            ("sslclient", "agent", "agent-ca", ()),
            ("sslserver", "proxy/server", "agent-ca", ("dind-proxy", "localhost")),
            ("sslclient", "proxy/client", "dind/ca", ()),
            ("sslserver", "dind/server", "dind/ca", ("dind", "docker", "localhost")),
            ("sslclient", "dind/client", "dind/ca", ())):
        certificate = made / leaf / "cert.pem"
        ca = made / authority / "cert.pem"
        other_ca = made / next(a for a in AUTHORITIES if a != authority) / "cert.pem"
        other_purpose = {"sslclient": "sslserver", "sslserver": "sslclient"}[purpose]
        assert verifies(ca, certificate, purpose), leaf
        assert not verifies(ca, certificate, other_purpose), leaf
        assert not verifies(other_ca, certificate, purpose), leaf
        for name in names:
            assert verifies(ca, certificate, purpose, "-verify_hostname", name), name
        assert not verifies(ca, certificate, purpose, "-verify_hostname", "elsewhere"), leaf
        assert public_key(certificate) == public_key(made / leaf / "key.pem", "pkey")
        assert 824 < days_left(certificate) < 826
        assert (made / leaf / "ca.pem").read_bytes() == ca.read_bytes()
    assert verifies(made / "dind/ca/cert.pem", made / "dind/server/cert.pem", "sslserver",
                    "-verify_ip", "::1")
    for authority in AUTHORITIES:
        assert 3649 < days_left(made / authority / "cert.pem") < 3651
    keys = [public_key(p, "pkey") for p in made.rglob("key.pem")]
    assert len(keys) == len(set(keys)) == 7
    serials = [openssl("x509", "-noout", "-serial", "-in", p).stdout for p in made.rglob("cert.pem")]
    assert len(set(serials)) == 7
    assert {p.name for p in made.rglob("*") if p.is_file()} == {"ca.pem", "cert.pem", "key.pem"}


def test_shared(tmp_path):
    certs(tmp_path, "--layout", "shared")
    assert not (tmp_path / "agent-ca").exists()
    ca = tmp_path / "dind/ca/cert.pem"
    assert verifies(ca, tmp_path / "agent/cert.pem", "sslclient")
    assert verifies(ca, tmp_path / "proxy/server/cert.pem", "sslserver", "-verify_hostname",
                    "dind-proxy")
    assert verifies(ca, tmp_path / "dind/server/cert.pem", "sslserver", "-verify_hostname", "dind")


def test_no_engine(tmp_path):
    certs(tmp_path, "--engine-certs", "none")
    assert sorted(str(p.relative_to(tmp_path).parent) for p in tmp_path.rglob("cert.pem")) == \
        ["agent", "agent-ca", "proxy/server"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_modes_whatever_the_umask(tmp_path, umask):
    folder = tmp_path / "a/b"
    certs(folder, umask=umask)
    for path in folder.rglob("*"):
        if path.is_dir():
            private = str(path.relative_to(folder)) in AUTHORITIES
            assert mode(path) == (0o700 if private else 0o755), path
        else:
            assert mode(path) == (0o600 if path.name == "key.pem" else 0o644), path


def test_agent_of_any_language(tmp_path):
    for name in ("Агент № 7", "a/b", "x" * 64):
        certs(tmp_path, "--agent-name", name)
        assert certs(tmp_path, "--agent-name", name).stdout.endswith("nothing to do\n")
        text = openssl("x509", "-noout", "-subject", "-nameopt", "utf8,sname", "-in",
                       tmp_path / "agent/cert.pem").stdout
        assert name in text, text
    assert "from 1 to 64 bytes" in certs(tmp_path, "--agent-name", "x" * 65, status=USAGE).stderr


def test_names(tmp_path):
    certs(tmp_path, "--proxy-san", "DNS:Gate.Example", "--proxy-san", "10.1.2.3",
          env={"DOCKER_TLS_SAN": "DNS:engine,IP:fd00::7", "DIND_PROXY_CERTS_AGENT_NAME": "robot"})
    text = openssl("x509", "-noout", "-text", "-in", tmp_path / "proxy/server/cert.pem").stdout
    assert re.search(r"DNS:gate.example, IP Address:10.1.2.3\n", text)
    text = openssl("x509", "-noout", "-text", "-in", tmp_path / "dind/server/cert.pem").stdout
    assert re.search("DNS:dind, DNS:docker, DNS:localhost, IP Address:127.0.0.1, IP Address:.*, "
                     "DNS:engine, IP Address:FD00:0:0:0:0:0:0:7\n", text)
    assert "CN = robot" in openssl("x509", "-noout", "-subject", "-in",
                                   tmp_path / "agent/cert.pem").stdout


def test_places(tmp_path):
    places = {name: tmp_path / name[2:] for name in ("--agent-ca-dir", "--agent-dir", "--proxy-dir",
                                                     "--dind-dir")}
    certs(tmp_path / "unused", *(w for pair in places.items() for w in pair))
    assert not (tmp_path / "unused").exists()
    assert (places["--agent-dir"] / "key.pem").exists()
    assert (places["--agent-ca-dir"] / "key.pem").exists()
    assert (places["--proxy-dir"] / "client/key.pem").exists()
    assert (places["--dind-dir"] / "ca/key.pem").exists()


@pytest.mark.parametrize("options", [
    ("--agent-ca-dir", "X/agent"), ("--agent-ca-dir", "X/agent/"), ("--agent-ca-dir", "X/agent/ca"),
    ("--agent-dir", "X"), ("--agent-dir", "X/dind"), ("--agent-dir", "X/dind/ca"),
    ("--agent-ca-dir", "X/proxy"), ("--agent-ca-dir", "X/proxy/ca"),
    ("--agent-ca-dir", "X/dind/server/ca"), ("--agent-ca-dir", "X/dind/ca"),
    ("--dind-dir", "X/agent"), ("--dind-dir", "X/proxy")], ids=" ".join)
def test_no_authority_within_reach(tmp_path, options):
    result = certs(tmp_path / "X", *(o.replace("X", str(tmp_path / "X"), 1) for o in options),
                   status=USAGE)
    assert "lies in" in result.stderr or "named for two things" in result.stderr
    assert not list(tmp_path.rglob("*.pem"))


@pytest.mark.parametrize("options, words", [
    (("--layout", "other"), "--layout other: must be one of: split, shared"),
    (("--days", "0"), "--days 0"),
    (("--proxy-san", "a b"), "--proxy-san a b"),
    (("--agent-owner", "root"), "--agent-owner root"),
    (("--agent-owner", "1:"), "--agent-owner 1:"),
    (("--agent-owner", "4294967295"), "--agent-owner 4294967295"),
    (("--layout", "shared", "--engine-certs", "none"), "--engine-certs none"),
    (("--check", "--renew", "all"), "--check"),
    (("--layuot", "split"), "did you mean --layout"),
    (("--listen", "tcp://x"), 'unknown option "--listen"'),
    (("extra",), 'unexpected argument "extra"'),
], ids=str)
def test_usage(tmp_path, options, words):
    assert words in certs(tmp_path / "x", *options, status=USAGE).stderr
    assert not (tmp_path / "x").exists()


def test_usage_elsewhere():
    def run(*words, **env):
        return subprocess.run([binary(), *words], capture_output=True, text=True,
                              env=clean_environment() | env)
    result = run("certs", "--help")
    assert result.returncode == OK and "--agent-ca-dir DIR" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    for name, variable in re.findall(r"^  --([a-z-]+)(?: [A-Z]+)?    \((\w+)", result.stdout, re.M):
        assert variable == "DIND_PROXY_CERTS_" + name.upper().replace("-", "_")
    assert "certs" in run("--help").stdout
    result = run("--workers", "1", "certs")
    assert result.returncode == USAGE and "behind it" in result.stderr
    result = run("certs", DOCKER_TLS_SAN="DNS:dind,what ever!")
    assert result.returncode == USAGE and "DOCKER_TLS_SAN" in result.stderr
    # Options of the proxy in the environment are none of its business.
    assert run("certs", "--help", DIND_PROXY_WORKERS="nonsense").returncode == OK


# The second run

def test_second_run_changes_nothing(made):
    before = snapshot(made)
    result = certs(made)
    assert result.stdout.endswith("\nnothing to do\n")
    assert snapshot(made) == before
    assert certs(made, "--check").stdout.endswith("\nnothing to do\n")
    assert snapshot(made) == before


def test_check_writes_nothing(tmp_path):
    result = certs(tmp_path / "x", "--check", status=FAILED)
    assert "agent-ca/key.pem: missing" in result.stdout
    assert "agent/cert.pem: would be made: there was none" in result.stdout
    assert not (tmp_path / "x").exists()


OPENSSL_CONFIG = """
[ca]
database = {work}/index
new_certs_dir = {work}
default_md = sha256
policy = any
unique_subject = no
rand_serial = yes
copy_extensions = copyall
[any]
commonName = supplied
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:dind-proxy, DNS:localhost
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = {key_id}
[req]
distinguished_name = dn
[dn]
"""


def redate(folder, work, name, profile, ca, begins, ends):
    """Replaces the certificate in `folder` by one for the same key that lives from day `begins` to
    day `ends`, counted from now; `ca` None: self-signed."""
    work.mkdir(exist_ok=True)
    (work / "index").write_text("")
    key_id = openssl("x509", "-noout", "-ext", "subjectKeyIdentifier", "-in",
                     folder / "cert.pem").stdout.split()[-1]
    (work / "cnf").write_text(OPENSSL_CONFIG.format(work=work, key_id=key_id))
    now = datetime.datetime.utcnow()
    start, end = ((now + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ")
                  for d in (begins, ends))
    openssl("req", "-new", "-key", folder / "key.pem", "-subj", f"/CN={name}", "-config",
            work / "cnf", "-out", work / "csr")
    signer = ["-selfsign", "-keyfile", folder / "key.pem"] if ca is None else \
        ["-cert", ca / "cert.pem", "-keyfile", ca / "key.pem"]
    openssl("ca", "-batch", "-notext", "-config", work / "cnf", "-name", "ca", *signer, "-in",
            work / "csr", "-extensions", profile, "-startdate", start, "-enddate", end, "-out",
            work / "cert")
    shutil.copyfile(work / "cert", folder / "cert.pem")


@pytest.mark.parametrize("begins, ends, renewed", [
    (-700, 125, True), (-700, -1, True), (1, 800, True), (-500, 325, False), (-549, 276, False),
    (-551, 274, True)])
def test_renewal(made, tmp_path, begins, ends, renewed):
    key = (made / "agent/key.pem").read_bytes()
    redate(made / "agent", tmp_path / "w", "agent", "client", made / "agent-ca", begins, ends)
    before = snapshot(made)
    assert certs(made, "--check", status=FAILED if renewed else OK)
    assert snapshot(made) == before
    result = certs(made)
    changed = [str(p) for p, what in snapshot(made).items() if what[0] != before[p][0]]
    # The key stays, so that one rename is all that readers can see.
    assert changed == (["agent/cert.pem"] if renewed else []), result
    assert (made / "agent/key.pem").read_bytes() == key
    if renewed:
        assert 824 < days_left(made / "agent/cert.pem") < 826
        assert "1 changed" in result.stdout
    assert verifies(made / "agent-ca/cert.pem", made / "agent/cert.pem", "sslclient")


def test_renewal_of_an_authority(made, tmp_path):
    """With the same key: what it signed before is good under the new certificate, and what it signs
    now under the old one."""
    redate(made / "agent-ca", tmp_path / "w", "dind-proxy agent CA", "authority", None, -900, 300)
    old = (made / "agent-ca/cert.pem").read_bytes()
    (tmp_path / "old.pem").write_bytes(old)
    shutil.rmtree(made / "agent")
    leaf = (made / "proxy/server/cert.pem").read_bytes()
    result = certs(made)
    assert "renewed with the same key" in result.stdout
    assert days_left(made / "agent-ca/cert.pem") > 3649
    assert (made / "proxy/server/cert.pem").read_bytes() == leaf
    assert (made / "proxy/server/ca.pem").read_bytes() != old
    assert verifies(made / "proxy/server/ca.pem", made / "proxy/server/cert.pem", "sslserver")
    assert verifies(tmp_path / "old.pem", made / "agent/cert.pem", "sslclient")
    assert certs(made).stdout.endswith("nothing to do\n")


def test_no_certificate_outlives_its_authority(tmp_path):
    certs(tmp_path, "--ca-days", "30")
    assert dates(tmp_path / "agent/cert.pem")[1] == dates(tmp_path / "agent-ca/cert.pem")[1]


def test_other_names_are_followed(made):
    key = (made / "proxy/server/key.pem").read_bytes()
    before = snapshot(made)
    certs(made, "--proxy-san", "gate")
    assert [str(p) for p, w in snapshot(made).items() if w[0] != before[p][0]] == \
        ["proxy/server/cert.pem"]
    assert (made / "proxy/server/key.pem").read_bytes() == key
    assert verifies(made / "agent-ca/cert.pem", made / "proxy/server/cert.pem", "sslserver",
                    "-verify_hostname", "gate")


def test_renew_certs_and_all(made):
    keys = {p: p.read_bytes() for p in made.rglob("key.pem")}
    certs(made, "--renew", "certs")
    for path, key in keys.items():
        same = path.read_bytes() == key
        assert same == (str(path.parent.relative_to(made)) in AUTHORITIES), path
    before = snapshot(made)
    certs(made, "--renew", "all")
    assert not [p for p, w in snapshot(made).items() if w[0] == before[p][0]]
    for leaf in LEAVES:
        assert openssl("verify", "-CAfile", made / leaf / "ca.pem", made / leaf / "cert.pem")
    assert certs(made).stdout.endswith("nothing to do\n")


def test_from_shared_to_split_and_back(tmp_path):
    certs(tmp_path, "--layout", "shared")
    result = certs(tmp_path)
    assert "warning: the agent has held a certificate that the engine trusts" in result.stdout
    assert verifies(tmp_path / "agent-ca/cert.pem", tmp_path / "agent/cert.pem", "sslclient")
    assert not verifies(tmp_path / "dind/ca/cert.pem", tmp_path / "agent/cert.pem", "sslclient")
    assert "warning" not in certs(tmp_path).stdout
    certs(tmp_path, "--layout", "shared")
    assert verifies(tmp_path / "dind/ca/cert.pem", tmp_path / "agent/cert.pem", "sslclient")


# Damage

def damage_empty(path):
    path.write_bytes(b"")


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:100])


def damage_junk(path):
    path.write_bytes(os.urandom(300))


def damage_missing(path):
    path.unlink()


def damage_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def damage_fifo(path):
    path.unlink()
    os.mkfifo(path)


def damage_other(path):
    """Another key, or the certificate of another."""
    if path.name == "key.pem":
        path.write_text(openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                                "ec_paramgen_curve:P-256").stdout)
    else:
        path.write_bytes((path.parents[2] / "dind/client" / path.name).read_bytes())


DAMAGES = [damage_empty, damage_cut, damage_junk, damage_missing, damage_link, damage_fifo,
           damage_other]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__[7:])
@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
def test_damaged_leaf_is_mended(made, name, damage):
    folder = made / "proxy/server"
    before = snapshot(made)
    damage(folder / name)
    certs(made)
    for purpose, leaf in (("sslserver", "proxy/server"), ("sslclient", "agent")):
        certificate = made / leaf / "cert.pem"
        assert verifies(made / leaf / "ca.pem", certificate, purpose)
        assert public_key(certificate) == public_key(made / leaf / "key.pem", "pkey")
    for path, (content, _) in before.items():
        if path.parent != Path("proxy/server"):
            assert (made / path).read_bytes() == content, path
        assert not (made / path).is_symlink()
    assert mode(folder / "key.pem") == 0o600
    assert certs(made).stdout.endswith("nothing to do\n")


@pytest.mark.parametrize("damage", [d for d in DAMAGES if d is not damage_missing],
                         ids=lambda d: d.__name__[7:])
def test_damaged_authority_key_is_left_alone(made, damage):
    damage(made / "agent-ca/key.pem")
    before = snapshot(made)
    result = certs(made, status=FAILED)
    assert "agent-ca" in result.stderr and "--renew all" in result.stderr
    assert snapshot(made) == before
    certs(made, "--renew", "all")
    assert verifies(made / "agent-ca/cert.pem", made / "agent/cert.pem", "sslclient")


@pytest.mark.parametrize("damage", [damage_empty, damage_cut, damage_junk, damage_missing],
                         ids=lambda d: d.__name__[7:])
def test_damaged_authority_certificate_is_made_for_its_key(made, damage):
    leaf = (made / "agent/cert.pem").read_bytes()
    damage(made / "agent-ca/cert.pem")
    certs(made)
    assert (made / "agent/cert.pem").read_bytes() == leaf
    assert verifies(made / "agent/ca.pem", made / "agent/cert.pem", "sslclient")


def test_authority_with_a_bad_signature(made):
    """It can be read, and most would not notice."""
    path = made / "agent-ca/cert.pem"
    lines = path.read_text().splitlines()
    lines[-2] = lines[-2][:-8] + ("AAAA" if lines[-2][-8:-4] != "AAAA" else "BBBB") + lines[-2][-4:]
    path.write_text("\n".join(lines) + "\n")
    assert not verifies(path, made / "agent/cert.pem", "sslclient", "-check_ss_sig")
    assert "renewed with the same key" in certs(made).stdout
    assert verifies(path, made / "agent/cert.pem", "sslclient", "-check_ss_sig")


@pytest.mark.parametrize("with_key", [True, False])
def test_what_is_no_authority(made, with_key):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "30", "-subj", "/CN=no CA", "-addext", "basicConstraints=critical,CA:FALSE",
            "-config", "/dev/stdin", "-keyout", made / "agent-ca/key.pem", "-out",
            made / "agent-ca/cert.pem", input="[req]\ndistinguished_name=dn\n[dn]\n")
    if not with_key:
        (made / "agent-ca/key.pem").unlink()
    assert "does not belong to a CA" in certs(made, status=FAILED).stderr


def test_authority_whose_key_is_elsewhere(made, tmp_path):
    shutil.copytree(made / "agent-ca", tmp_path / "elsewhere")
    (made / "agent-ca/key.pem").unlink()
    assert certs(made).stdout.endswith("nothing to do\n")
    former = (made / "agent/cert.pem").rename(tmp_path / "former.pem")
    result = certs(made, status=FAILED)
    assert "the key of its CA is not here" in result.stderr
    former.rename(made / "agent/cert.pem")
    assert not (made / "agent-ca/key.pem").exists()
    # One that is due is good for now, and keeps nobody from starting.
    redate(made / "agent", tmp_path / "w", "agent", "client", tmp_path / "elsewhere", -700, 100)
    assert "due, and the key of its CA is not here" in certs(made).stdout
    certs(made, "--check", status=FAILED)
    redate(made / "agent", tmp_path / "w", "agent", "client", tmp_path / "elsewhere", -700, -1)
    assert "it has expired" in certs(made, status=FAILED).stderr


def test_certificates_of_others_are_left_alone(made):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
            "/CN=their own", "-keyout", made / "proxy/server/key.pem", "-out",
            made / "proxy/server/cert.pem")
    before = snapshot(made)
    result = certs(made, status=FAILED)
    assert "their own" in result.stderr and "--renew certs" in result.stderr
    assert snapshot(made) == before
    certs(made, "--renew", "certs")
    assert verifies(made / "agent-ca/cert.pem", made / "proxy/server/cert.pem", "sslserver")


def test_same_authority_twice(made):
    for name in ("key.pem", "cert.pem"):
        shutil.copyfile(made / "dind/ca" / name, made / "agent-ca" / name)
    assert "the same CA" in certs(made, status=FAILED).stderr


def test_authority_made_by_openssl(tmp_path):
    """An organisation's own CA signs, and is left as it is."""
    (tmp_path / "agent-ca").mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "30", "-subj", "/C=DE/O=Some Org/CN=Some CA", "-addext",
            "keyUsage=critical,keyCertSign", "-keyout", tmp_path / "agent-ca/key.pem", "-out",
            tmp_path / "agent-ca/cert.pem")
    before = (tmp_path / "agent-ca/cert.pem").read_bytes()
    certs(tmp_path)
    assert (tmp_path / "agent-ca/cert.pem").read_bytes() == before
    assert verifies(tmp_path / "agent-ca/cert.pem", tmp_path / "agent/cert.pem", "sslclient")
    assert certs(tmp_path).stdout.endswith("nothing to do\n")


# Modes, owners, other runs

def test_modes_are_mended(made):
    os.chmod(made / "agent/key.pem", 0o644)
    os.chmod(made / "agent-ca/key.pem", 0o640)
    os.chmod(made / "agent-ca", 0o755)
    os.chmod(made / "proxy/server/key.pem", 0o640)  # a group's right to read is somebody's wish
    os.chmod(made / "proxy/server/cert.pem", 0o666)
    assert certs(made, "--check", status=FAILED).stdout.endswith("\n4 to do\n")
    assert mode(made / "agent/key.pem") == 0o644
    certs(made)
    assert mode(made / "agent/key.pem") == 0o640
    assert mode(made / "agent-ca/key.pem") == 0o600
    assert mode(made / "agent-ca") == 0o700
    assert mode(made / "proxy/server/key.pem") == 0o640
    assert mode(made / "proxy/server/cert.pem") == 0o644
    certs(made, "--renew", "certs")
    assert mode(made / "proxy/server/key.pem") == 0o640


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@needs_root
def test_owners(tmp_path):
    def owner(path):
        status = os.stat(tmp_path / path)
        return status.st_uid, status.st_gid

    certs(tmp_path)
    certs(tmp_path, "--agent-owner", "1000:1001", "--proxy-owner", "65532:65532", "--dind-owner",
          "0:7")
    assert {owner(f"agent/{n}.pem") for n in ("ca", "cert", "key")} == {(1000, 1001)}
    assert {owner(f"proxy/{s}/{n}.pem") for s in ("client", "server")
            for n in ("ca", "cert", "key")} == {(65532, 65532)}
    assert owner("dind/server/key.pem") == (0, 7)
    assert owner("dind/ca/key.pem") == owner("agent-ca/key.pem") == (0, 0)
    before = snapshot(tmp_path)
    certs(tmp_path)
    assert snapshot(tmp_path) == before
    # Who owns a file keeps it, also when it is replaced without a word about owners.
    certs(tmp_path, "--renew", "certs")
    assert owner("agent/key.pem") == (1000, 1001)
    certs(tmp_path, "--agent-owner", "1000:1001", "--renew", "all")
    assert owner("agent/cert.pem") == (1000, 1001)
    assert mode(tmp_path / "agent/key.pem") == 0o600


@needs_root
def test_without_the_right_to_give_files_away(tmp_path):
    os.chmod(tmp_path, 0o777)
    for above in tmp_path.parents:
        if above.stat().st_uid == 0 and above.name.startswith("pytest-"):
            os.chmod(above, 0o755)
    result = certs(tmp_path / "x", "--agent-owner", "1", user=12345, status=FAILED)
    assert "cannot give it to 1:" in result.stderr
    # Nobody finds a key there that was to be another's.
    assert not (tmp_path / "x/agent/key.pem").exists()
    assert not list((tmp_path / "x").rglob(".*"))
    certs(tmp_path / "y", user=12345)
    assert os.stat(tmp_path / "y/agent/key.pem").st_uid == 12345


def test_many_at_once(tmp_path):
    """All succeed, and end with one set of files."""
    runs = [subprocess.Popen([binary(), "certs", "--dir", tmp_path], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env=clean_environment())
            for _ in range(8)]
    outputs = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * 8, outputs
    assert sum("nothing to do" in text for text in outputs) == 7, outputs
    for leaf in LEAVES:
        assert openssl("verify", "-CAfile", tmp_path / leaf / "ca.pem", tmp_path / leaf / "cert.pem")


def test_killed_at_any_time(tmp_path):
    """Whenever a run is killed, the next one ends well, and leaves nothing lying about."""
    for step in range(25):
        folder = tmp_path / str(step)
        run = subprocess.Popen([binary(), "certs", "--dir", folder], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=clean_environment())
        time.sleep(step * 0.001)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        for path in folder.rglob("*.pem"):
            assert path.read_bytes().endswith(b"-----END " + (
                b"PRIVATE KEY-----\n" if path.name == "key.pem" else b"CERTIFICATE-----\n")), path
        certs(folder)
        for leaf in LEAVES:
            openssl("verify", "-CAfile", folder / leaf / "ca.pem", folder / leaf / "cert.pem")
        assert not [p for p in folder.rglob(".*")]


def test_readers_never_see_half(made):
    """While everything is made anew again and again, a reader finds whole files."""
    stop = threading.Event()
    torn = []

    def read():
        while not stop.is_set():
            for leaf in LEAVES:
                for name in ("ca.pem", "cert.pem", "key.pem"):
                    text = (made / leaf / name).read_text()
                    if not (text.startswith("-----BEGIN") and text.endswith("-----\n")):
                        torn.append(text)
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        certs(made, "--renew", "certs")
    stop.set()
    reader.join()
    assert not torn


def test_a_planted_link_is_not_followed(made, tmp_path):
    """The agent may write to its own folder; it must not get at others through that."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    os.chmod(victim, 0o644)
    before = victim.stat()
    for name in ("ca.pem", "cert.pem", "key.pem", ".cert.pem.new", ".key.pem.new"):
        (made / "agent" / name).unlink(missing_ok=True)
        (made / "agent" / name).symlink_to(victim)
    certs(made)
    after = victim.stat()
    assert victim.read_text() == "precious\n"
    assert (after.st_mode, after.st_uid, after.st_mtime) == \
        (before.st_mode, before.st_uid, before.st_mtime)
    # Nor is the CA's key used as the agent's.
    (made / "agent/key.pem").unlink()
    (made / "agent/key.pem").symlink_to(made / "agent-ca/key.pem")
    certs(made)
    assert public_key(made / "agent/cert.pem") != public_key(made / "agent-ca/cert.pem")


# dind makes its own

def dind_own(folder, names="DNS:dind,DNS:localhost"):
    """What docker:dind's entrypoint leaves behind: RSA, and a client key that all may read."""
    for name in ("ca", "server", "client"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ca = folder / "ca"
    if not (ca / "key.pem").exists():
        openssl("genrsa", "-out", ca / "key.pem", "2048")
    openssl("req", "-new", "-key", ca / "key.pem", "-out", ca / "cert.pem", "-subj",
            "/CN=docker:dind CA", "-x509", "-days", "825")
    for name, extension in (("server", f"subjectAltName={names}"),
                            ("client", "extendedKeyUsage=clientAuth")):
        leaf = folder / name
        if not (leaf / "key.pem").exists():
            openssl("genrsa", "-out", leaf / "key.pem", "2048")
        openssl("req", "-new", "-key", leaf / "key.pem", "-out", leaf / "csr.pem", "-subj",
                f"/CN=docker:dind {name}")
        (leaf / "openssl.cnf").write_text(f"[x]\n{extension}\n")
        openssl("x509", "-req", "-in", leaf / "csr.pem", "-CA", ca / "cert.pem", "-CAkey",
                ca / "key.pem", "-CAcreateserial", "-out", leaf / "cert.pem", "-days", "825",
                "-extfile", leaf / "openssl.cnf", "-extensions", "x")
        shutil.copyfile(ca / "cert.pem", leaf / "ca.pem")
    os.chmod(folder / "client/key.pem", 0o644)


def test_import_split(tmp_path):
    dind_own(tmp_path / "dind")
    before = snapshot(tmp_path / "dind")
    certs(tmp_path, "--engine-certs", "import")
    assert snapshot(tmp_path / "dind") == before
    for name in ("ca.pem", "cert.pem", "key.pem"):
        assert (tmp_path / "proxy/client" / name).read_bytes() == \
            (tmp_path / "dind/client" / name).read_bytes()
    assert mode(tmp_path / "proxy/client/key.pem") == 0o600
    assert verifies(tmp_path / "agent-ca/cert.pem", tmp_path / "agent/cert.pem", "sslclient")
    assert certs(tmp_path, "--engine-certs", "import").stdout.endswith("nothing to do\n")
    # dind makes new certificates for its keys whenever it starts.
    dind_own(tmp_path / "dind")
    result = certs(tmp_path, "--engine-certs", "import")
    assert "2 changed" in result.stdout
    assert openssl("verify", "-CAfile", tmp_path / "proxy/client/ca.pem",
                   tmp_path / "proxy/client/cert.pem")


def test_import_shared(tmp_path):
    dind_own(tmp_path / "dind", "DNS:dind,DNS:dind-proxy,DNS:localhost")
    certs(tmp_path, "--engine-certs", "import", "--layout", "shared")
    assert not (tmp_path / "agent-ca").exists()
    for source, target in (("server", "proxy/server"), ("client", "proxy/client"),
                           ("client", "agent")):
        assert (tmp_path / target / "cert.pem").read_bytes() == \
            (tmp_path / "dind" / source / "cert.pem").read_bytes()
        assert mode(tmp_path / target / "key.pem") == 0o600


def test_import_refuses_what_is_of_no_use(tmp_path):
    result = certs(tmp_path, "--engine-certs", "import", status=FAILED)
    assert "DOCKER_TLS_CERTDIR" in result.stderr
    dind_own(tmp_path / "dind")
    result = certs(tmp_path, "--engine-certs", "import", "--layout", "shared", status=FAILED)
    assert "not valid for dind-proxy" in result.stderr and "DOCKER_TLS_SAN" in result.stderr
    openssl("genrsa", "-out", tmp_path / "dind/client/key.pem", "2048")
    result = certs(tmp_path, "--engine-certs", "import", status=FAILED)
    assert "key.pem does not belong to cert.pem" in result.stderr
    shutil.rmtree(tmp_path / "dind")
    dind_own(tmp_path / "dind")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=x",
            "-keyout", "/dev/null", "-out", tmp_path / "dind/client/ca.pem")
    result = certs(tmp_path, "--engine-certs", "import", status=FAILED)
    assert "signed by no trusted CA" in result.stderr


# In use

def proxy_options(folder):
    server, client = folder / "proxy/server", folder / "proxy/client"
    return ["--tls-cert", server / "cert.pem", "--tls-key", server / "key.pem", "--tls-client-ca",
            server / "ca.pem", "--upstream-tls-ca", client / "ca.pem", "--upstream-tls-cert",
            client / "cert.pem", "--upstream-tls-key", client / "key.pem"]


def lets_in(port, files):
    """Whether a client that does not care who answers gets an answer with these files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(files / "cert.pem", files / "key.pem")
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        try:
            with context.wrap_socket(plain) as secure:
                secure.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
                return secure.recv(12).startswith(b"HTTP/1.1 200")
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.mark.parametrize("layout", ["split", "shared"])
def test_both_hops_of_the_proxy(tmp_path, layout):
    folder = tmp_path / "certs"
    certs(folder, "--layout", layout)
    recorder = Recorder("tcp://127.0.0.1:0", folder / "dind/server", answer_ok)
    url = f"tcp://127.0.0.1:{free_port()}"
    proxy = Proxy([url], recorder.url, proxy_options(folder), tmp_path / "log")
    try:
        with Client(url, folder / "agent") as client:
            assert client.request("GET", "/_ping").status == 200
        assert "agent" in proxy.wait_log("path=/_ping")
        # Past the proxy.
        port = int(recorder.url.rpartition(":")[2])
        assert lets_in(port, folder / "agent") == (layout == "shared")
        assert lets_in(port, folder / "proxy/client")
        assert lets_in(port, folder / "dind/client")
    finally:
        proxy.stop()
        recorder.close()
