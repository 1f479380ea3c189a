"""The image archive: its form, that it is reproducible, and that the real engine runs it."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from conftest import DEPLOY
from proxy_process import REPOSITORY
from recorder import wait_until

LIMIT = 4_000_000  # bytes
ARCHS = ("amd64", "arm64")


@pytest.fixture(scope="module")
def files(archive):
    with tarfile.open(archive) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}


def blob(files, descriptor):
    """A blob, checked against its descriptor."""
    algorithm, _, digest = descriptor["digest"].partition(":")
    data = files[f"blobs/{algorithm}/{digest}"]
    assert algorithm == "sha256" and hashlib.sha256(data).hexdigest() == digest
    assert len(data) == descriptor["size"]
    return data


def image_index(files):
    """The index for all processors, which index.json names first."""
    return json.loads(blob(files, json.loads(files["index.json"])["manifests"][0]))


def test_oci_layout(files):
    """oci-layout, and an index whose every blob is there and is what its digest says."""
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    used = set()
    platforms = []
    top = json.loads(files["index.json"])
    assert top["schemaVersion"] == 2
    index = image_index(files)
    used.add(top["manifests"][0]["digest"])
    for descriptor in index["manifests"]:
        manifest = json.loads(blob(files, descriptor))
        config = json.loads(blob(files, manifest["config"]))
        assert descriptor["platform"] == {"architecture": config["architecture"], "os": "linux"}
        platforms.append(config["architecture"])
        assert [layer["digest"] for layer in manifest["layers"]] == config["rootfs"]["diff_ids"]
        for layer in manifest["layers"]:
            blob(files, layer)
        used |= {d["digest"] for d in (descriptor, manifest["config"], *manifest["layers"])}
    assert sorted(platforms) == sorted(ARCHS)
    assert used == {"sha256:" + name.rpartition("/")[2] for name in files
                    if name.startswith("blobs/")}


def test_both_forms_name_the_same_images(files):
    index = image_index(files)
    version = index_version(files)
    docker = {entry["Config"]: entry for entry in json.loads(files["manifest.json"])}
    for descriptor in index["manifests"]:
        manifest = json.loads(blob(files, descriptor))
        entry = docker.pop(manifest["config"]["digest"].replace("sha256:", "blobs/sha256/"))
        arch = descriptor["platform"]["architecture"]
        assert f"dind-proxy:{version}-{arch}" in entry["RepoTags"]
        assert entry["Layers"] == [layer["digest"].replace("sha256:", "blobs/sha256/")
                                   for layer in manifest["layers"]]
    assert not docker


def index_version(files):
    return json.loads(files["index.json"])["manifests"][0]["annotations"][
        "org.opencontainers.image.ref.name"]


@pytest.mark.parametrize("arch", ARCHS)
def test_size_and_content(files, arch, builds):
    """Small; nothing in it but the program and its licence, no file that its user may write."""
    for descriptor in image_index(files)["manifests"]:
        if descriptor["platform"]["architecture"] == arch:
            manifest = json.loads(blob(files, descriptor))
    size = sum(d["size"] for d in (manifest["config"], *manifest["layers"]))
    assert size < LIMIT
    with tarfile.open(fileobj=io.BytesIO(blob(files, manifest["layers"][0]))) as layer:
        members = {m.name: m for m in layer}
        assert sorted(n for n, m in members.items() if not m.isdir()) == [
            "usr/bin/dind-proxy", "usr/share/doc/dind-proxy/LICENSE"]
        assert list(members) == sorted(members)
        program = members["usr/bin/dind-proxy"]
        assert (program.mode, program.uid, program.gid) == (0o755, 0, 0)
        assert {n for n, m in members.items() if m.uid} == {"certs", "run/dind-proxy"}


def test_reproducible(build_image, tmp_path):
    """The same input gives the same bytes, whatever the clock, the umask and the locale say."""
    build_image(tmp_path / "a.tar", SOURCE_DATE_EPOCH="1700000000")
    mask = os.umask(0o077)
    try:
        build_image(tmp_path / "b.tar", SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo",
                    PYTHONHASHSEED="7")
    finally:
        os.umask(mask)
    build_image(tmp_path / "c.tar", SOURCE_DATE_EPOCH="1700000001")
    a, b, c = ((tmp_path / f"{name}.tar").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {(m.mtime, m.uid, m.gid) for m in tar} == {(1700000000, 0, 0)}


def test_a_binary_of_another_processor_is_refused(builds, tmp_path):
    result = subprocess.run(
        [DEPLOY / "image/pack-image", "--version", "1", "--output", tmp_path / "x.tar", "--binary",
         f"amd64={builds['arm64'] / 'dind-proxy'}"], capture_output=True, text=True)
    assert result.returncode == 1 and "no program for amd64" in result.stderr
    assert not (tmp_path / "x.tar").exists()


def inspect(engine, name):
    result = engine.docker("image", "inspect", name, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)[0]


def test_docker_load(engine, image):
    """Docker's own client and daemon take the archive: both processors, and the plain tag."""
    amd64 = inspect(engine, image)
    arm64 = inspect(engine, image.replace("-amd64", "-arm64"))
    assert (amd64["Architecture"], arm64["Architecture"]) == ("amd64", "arm64")
    assert inspect(engine, image.removesuffix("-amd64"))["Id"] == amd64["Id"]
    assert amd64["Config"]["User"] == "65532:65532"
    assert amd64["Config"]["Labels"]["org.opencontainers.image.version"] in image
    assert max(amd64["Size"], arm64["Size"]) < LIMIT


def test_the_loaded_image_runs(engine, image):
    result = engine.docker("run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none",
                           image, "--version", text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("dind-proxy ") and "musl" in result.stdout


def test_the_containers_health(engine, image):
    """Its own health check asks the engine through the proxy, as an unprivileged user."""
    path = engine.unix.removeprefix("unix://")
    name = "image-health"
    result = engine.docker(
        "run", "-d", "--name", name, "--read-only", "--cap-drop", "ALL", "--security-opt",
        "no-new-privileges", "--health-interval", "1s", "--group-add", str(os.stat(path).st_gid),
        "--tmpfs", "/run/dind-proxy:uid=65532", "-v", f"{path}:/engine.sock",
        "-e", "DIND_PROXY_UPSTREAM=unix:///engine.sock", image, text=True)
    assert result.returncode == 0, result.stderr
    try:
        def health():
            state = json.loads(engine.docker("inspect", name, text=True).stdout)[0]["State"]
            return state if state["Health"]["Status"] != "starting" else None
        state = wait_until(health, 60, "a health status")
        assert state["Health"]["Status"] == "healthy", state
        assert "answers GET /_ping" in state["Health"]["Log"][-1]["Output"]
        top = engine.docker("top", name, "-o", "pid,uid,args", text=True).stdout
        assert "65532" in top
    finally:
        engine.docker("rm", "-f", name)


def test_the_dockerfile_makes_the_same_image(engine, image, builds, tmp_path):
    """Its last stage, on a stand-in for the first one: the same configuration, files and owners."""
    text = (DEPLOY / "image/Dockerfile").read_text()
    last = text[text.rindex("\nFROM scratch"):]
    root = tmp_path / "root"
    for folder in ("out/usr/bin", "out/usr/share/doc/dind-proxy", "out/run", "empty"):
        (root / folder).mkdir(parents=True)
    subprocess.run(["strip", "--strip-all", "-o", root / "out/usr/bin/dind-proxy",
                    builds["amd64"] / "dind-proxy"], check=True)
    (root / "out/usr/share/doc/dind-proxy/LICENSE").write_bytes(
        (REPOSITORY / "LICENSE").read_bytes())
    with tarfile.open(tmp_path / "stage.tar", "w") as tar:
        tar.add(root, ".")
    with open(tmp_path / "stage.tar", "rb") as stage:
        assert engine.docker("import", "-", "build-stage", stdin=stage).returncode == 0
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM build-stage AS build\n" + last)
    result = engine.docker("build", "-t", "by-dockerfile", str(context), text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    ours, theirs = inspect(engine, image)["Config"], inspect(engine, "by-dockerfile")["Config"]
    for key in ("User", "Entrypoint", "Cmd", "ExposedPorts", "Env", "Labels", "StopSignal",
                "Healthcheck"):
        assert theirs[key] == ours[key], key
    assert content(engine, image, tmp_path / "a.tar") == content(
        engine, "by-dockerfile", tmp_path / "b.tar")


def content(engine, name, archive):
    """{path: (mode, owner, digest)} of a container's file system, without what dockerd puts in."""
    container = engine.docker("create", name, text=True).stdout.strip()
    try:
        assert engine.docker("export", "-o", archive, container).returncode == 0
    finally:
        engine.docker("rm", container)
    with tarfile.open(archive) as tar:
        return {m.name: (m.mode, m.uid, m.gid,
                         hashlib.sha256(tar.extractfile(m).read()).hexdigest() if m.isfile() else "")
                for m in tar if m.name.split("/")[0] in ("usr", "run", "certs")}


def test_the_arm64_image_runs_in_emulation(files, tmp_path):
    """The program taken out of the arm64 layer, stripped as it is there."""
    qemu = shutil.which("qemu-aarch64-static")
    if not qemu:
        pytest.skip("qemu-aarch64-static is not installed")
    for descriptor in image_index(files)["manifests"]:
        if descriptor["platform"]["architecture"] == "arm64":
            manifest = json.loads(blob(files, descriptor))
    with tarfile.open(fileobj=io.BytesIO(blob(files, manifest["layers"][0]))) as layer:
        layer.extract("usr/bin/dind-proxy", tmp_path)
    program = tmp_path / "usr/bin/dind-proxy"
    version = subprocess.run([qemu, program, "--version"], capture_output=True, text=True)
    assert version.returncode == 0 and version.stdout.startswith("dind-proxy "), version
    explain = subprocess.run([qemu, program, "explain", "POST", "/v1.41/containers/x/exec"],
                             capture_output=True, text=True)
    assert explain.returncode == 1 and "den" in explain.stdout, explain
