"""What `cmake --install` puts where, the man page, and how much the units leave open."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import DEPLOY, need
from proxy_process import binary

LIMIT = 1.5  # systemd-analyze security
PAGE = DEPLOY / "man/dind-proxy.8"
# Below the prefix /usr.
LAYOUT = {
    "bin/dind-proxy": 0o755,
    "lib/systemd/system/dind-proxy.service": 0o644,
    "lib/systemd/system/dind-proxy.socket": 0o644,
    "lib/sysusers.d/dind-proxy.conf": 0o644,
    "share/man/man8/dind-proxy.8": 0o644,
    "share/doc/dind-proxy/LICENSE": 0o644,
    "share/doc/dind-proxy/README.md": 0o644,
    "share/doc/dind-proxy/examples/dind-proxy.env": 0o644,
    "share/doc/dind-proxy/examples/tls.conf": 0o644,
}


def test_layout(installed):
    found = {str(p.relative_to(installed / "usr")): p.stat().st_mode & 0o7777
             for p in installed.rglob("*") if p.is_file()}
    assert found == LAYOUT


def test_the_installed_program_is_the_one_under_test(installed):
    def version(program):
        return subprocess.run([program, "--version"], capture_output=True, check=True).stdout
    assert version(installed / "usr/bin/dind-proxy") == version(binary())


def test_the_units_name_the_folders_of_the_installation(installed):
    unit = (installed / "usr/lib/systemd/system/dind-proxy.service").read_text()
    assert "@" not in unit.replace("@system-service", "").replace(
        "@privileged @resources @obsolete", "")
    assert "ExecStart=/usr/bin/dind-proxy\n" in unit
    assert "EnvironmentFile=-/etc/dind-proxy/dind-proxy.env\n" in unit


def test_the_example_names_only_options_that_exist(installed, tmp_path):
    """Uncommented it is taken whole, and says the defaults but for two lines."""
    text = (installed / "usr/share/doc/dind-proxy/examples/dind-proxy.env").read_text()
    variables = dict(re.findall(r"^#(DIND_PROXY_\w+)=(.*)$", text, re.M))
    assert len(variables) > 8
    result = subprocess.run([binary(), "--check-config"], capture_output=True, text=True,
                            env={"PATH": os.environ["PATH"]} | variables)
    assert result.returncode == 0, result.stderr
    for variable in variables:
        assert f"# {variable}" in result.stdout, variable
    differing = set()
    for line in subprocess.run([binary(), "--check-config"], capture_output=True, text=True,
                               env={"PATH": os.environ["PATH"]}).stdout.splitlines():
        setting = line.partition(" #")[0].strip()
        if setting not in [other.partition(" #")[0].strip()
                           for other in result.stdout.splitlines()]:
            differing.add(setting.partition("=")[0])
    assert differing == {"--log-format"}  # --allow-bind is not listed while there is none


def test_the_man_page_says_what_help_says():
    result = subprocess.run([DEPLOY / "man/update-options", "--check", binary()],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_man_page_is_clean():
    need("mandoc")
    result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", PAGE], capture_output=True,
                            text=True)
    assert result.returncode == 0 and not result.stdout, result.stdout
    shown = subprocess.run(["mandoc", "-T", "ascii", PAGE], capture_output=True, text=True).stdout
    plain = re.sub(".\b", "", shown)
    assert "--listen URL (DIND_PROXY_LISTEN)" in plain, plain[:3000]


def test_man_shows_it_without_a_warning():
    need("man")
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    result = subprocess.run(["man", "--warnings", "-l", PAGE], capture_output=True, text=True,
                            env=os.environ | {"MANPAGER": "cat", "MANWIDTH": "90"})
    assert result.returncode == 0 and not result.stderr, result.stderr


def units(installed, tmp_path, *drop_ins):
    """A folder with the unit as it is read with these drop-ins."""
    folder = tmp_path / "units"
    shutil.copytree(installed / "usr/lib/systemd/system", folder)
    for n, drop_in in enumerate(drop_ins):
        target = folder / "dind-proxy.service.d" / f"{n}.conf"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(drop_in, target)
    return folder


@pytest.mark.parametrize("drop_ins", ((), ("tls.conf",)), ids=("unix", "tls"))
def test_exposure(installed, tmp_path, drop_ins):
    need("systemd-analyze")
    folder = units(installed, tmp_path)
    unit = folder / "dind-proxy.service"
    # --offline reads one file: with the drop-in's lines behind it, which is how systemd reads them.
    for name in drop_ins:
        text = (installed / "usr/share/doc/dind-proxy/examples" / name).read_text()
        head, mark, install = unit.read_text().partition("[Install]")
        unit.write_text(head + text + mark + install)
    result = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", unit],
                            capture_output=True, text=True)
    match = re.search(r"exposure level for dind-proxy.service: ([0-9.]+)", result.stdout)
    assert match, result.stdout + result.stderr
    assert float(match.group(1)) <= LIMIT, result.stdout
    print(f"exposure {match.group(1)}")


@pytest.mark.parametrize("drop_ins", ((), ("tls.conf",)), ids=("unix", "tls"))
def test_systemd_reads_every_line(installed, tmp_path, drop_ins):
    """No unknown setting or section, nothing that cannot be parsed."""
    need("systemd-analyze")
    examples = installed / "usr/share/doc/dind-proxy/examples"
    folder = units(installed, tmp_path, *(examples / name for name in drop_ins))
    program = folder / "dind-proxy"
    program.symlink_to(Path(binary()).resolve())
    unit = folder / "dind-proxy.service"
    unit.write_text(unit.read_text().replace("/usr/bin/dind-proxy", str(program)))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", "--generators=no", unit,
                             folder / "dind-proxy.socket"], capture_output=True, text=True,
                            env=os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:"})
    complaints = [line for line in result.stderr.splitlines() if str(folder) in line
                  or "dind-proxy" in line]
    assert not complaints, result.stderr
