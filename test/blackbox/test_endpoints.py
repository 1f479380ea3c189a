"""The table of filter/endpoints.md, which the program itself writes: it is in step with the code,
and what it says is what happens."""

import re
import subprocess

import pytest

from proxy_process import REPOSITORY, binary
from test_cli import OK, explain, fails, run

PRESETS = ("blocklist", "allowlist", "read-only", "ci-runner")
PAGE = REPOSITORY / "filter/endpoints.md"


def read_table():
    """[(method, route's path, class, {preset: word}, keys)]."""
    rows = []
    for line in PAGE.read_text().splitlines():
        match = re.fullmatch(r"\| `(\S+) (/\S*)` \| (\w+) \| (.*) \|", line)
        if match:
            *words, keys = match[4].split(" | ")
            rows.append((match[1], match[2], match[3],
                         dict(zip(PRESETS, (w.strip("*") for w in words), strict=True)), keys))
    return rows


ROWS = read_table()


def test_the_page_is_what_the_program_prints():
    result = run("endpoints")
    assert result.status == OK and result.error == "", result
    assert PAGE.read_text() == result.out, "run tools/docs/update-endpoints"
    assert subprocess.run([REPOSITORY / "tools/docs/update-endpoints", "--check", binary()],
                          check=False).returncode == 0
    fails(run("endpoints", "more"), 'unexpected argument "more"')


def test_the_page_has_every_row_of_the_code():
    source = (REPOSITORY / "filter/endpoints.c").read_text()
    routes = re.findall(r'\bROW(?:_WITH)?\("(\S+ /\S*)"', source)
    assert len(routes) > 100
    assert routes == [f"{method} {path}" for method, path, *_ in ROWS]
    headings = re.findall(r"^## (.*)", PAGE.read_text(), re.MULTILINE)
    assert headings == ["System", "Containers", "Exec", "Images", "Builds", "Networks", "Volumes",
                        "Plugins", "Swarm", "Services", "Secrets and configs", "All else"]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_the_page_says_is_what_happens(preset):
    """A row that is refused is refused by its own rule, whatever else the request holds; of the
    others a request without query and body is at most malformed."""
    for method, path, class_, words, _ in ROWS:
        target = "/v1.41" + path.replace("{name}", "x").replace("{id}", "x")
        for verb in ("GET", "POST", "DELETE") if method == "*" else (method,):
            status, verdict = explain("--policy", preset, verb, target)
            route = verdict["endpoint"]
            if words[preset] == "refuse":
                assert (status, verdict["verdict"]) == (1, "deny"), (method, path, verdict)
                assert verdict["rule"].startswith("endpoint."), (method, path, verdict)
            else:
                assert verdict["verdict"] in ("allow", "bad-request"), (method, path, verdict)
                if words[preset] == "pass":
                    assert status == OK, (method, path, verdict)
            # A checkpoint's deletion falls under that of a container too (filter/endpoints.c).
            if route != "DELETE /containers/{name}":
                assert (route, verdict["class"]) == (f"{method} {path}", class_), verdict


@pytest.mark.parametrize("preset, status", [("blocklist", 0), ("allowlist", 1), ("read-only", 1),
                                            ("ci-runner", 1)])
def test_all_else(preset, status):
    assert explain("--policy", preset, "GET", "/v1.41/no/such")[0] == status
    assert explain("--policy", preset, "HEAD", "/v1.41/no/such")[0] == status
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert explain("--policy", preset, method, "/v1.41/no/such")[0] == 1


def test_the_keys_do_what_the_page_says(tmp_path):
    """`allow` opens what no preset lets through, `deny` closes what every preset does."""
    path = tmp_path / "policy.json"
    for key, wanted in (("allow", "refuse"), ("deny", "pass")):
        for preset in PRESETS:
            rows = [r for r in ROWS if r[3][preset] == wanted and key in r[4]]
            assert rows
            names = ", ".join(f'"{method} {route}"' for method, route, *_ in rows)
            path.write_text(f'{{"schema": 1, "preset": "{preset}", "endpoints": '
                            f'{{"{key}": [{names}]}}}}')
            for method, route, *_ in rows:
                target = "/v1.41" + route.replace("{name}", "x").replace("{id}", "x")
                verb = "GET" if method == "*" else method
                _, verdict = explain("--policy-file", path, verb, target)
                denied = verdict["rule"].startswith("endpoint.") and verdict["verdict"] == "deny"
                assert denied == (key == "deny"), (preset, method, route, verdict)
