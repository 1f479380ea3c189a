"""The policies that import-env prints: they load, and give the verdicts that the other proxy would."""

import fnmatch
import itertools
import json
import random
import re
import subprocess

import pytest

from proxy_process import REPOSITORY, binary, clean_environment

DOCUMENT = REPOSITORY / "proxy/import-env.md"
DIALECTS = ("tecnativa", "tecnativa-methods", "linuxserver")


def run(*arguments, env=None, text=None):
    base = {k: v for k, v in clean_environment().items() if k in ("PATH", "ASAN_OPTIONS", "HOME")}
    return subprocess.run([binary(), *map(str, arguments)], env=base | (env or {}), input=text,
                          capture_output=True, text=True, timeout=60)


def imported(dialect, switches, *options):
    result = run("import-env", "--dialect", dialect, *options, "-",
                 text="".join(f"{k}={v}\n" for k, v in switches.items()))
    assert result.returncode == 0, result
    return result


def routes(dialect, switches, *options):
    policy = json.loads(imported(dialect, switches, *options).stdout)
    assert policy["schema"] == 1 and policy["unknown-endpoints"] == "deny"
    return set(policy["endpoints"]["only"])


def tables():
    """{name: (default, dialects, patterns, kind)} of the document's tables."""
    rows = {}
    kind = None
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 4:
            kind = None if not line.startswith("|") else kind
        elif cells[0] in ("switch", "method", "guard"):
            kind = cells[0]
        elif kind and cells[0].startswith("`"):
            dialects = DIALECTS if cells[2] == "all" else tuple(re.findall("`([^`]+)`", cells[2]))
            rows[cells[0].strip("`")] = (int(cells[1]), dialects,
                                         re.findall("`([^`]+)`", cells[3]), kind)
    return rows


TABLES = tables()
SWITCHES = [name for name, row in TABLES.items() if row[3] == "switch"]


def known(dialect):
    return [name for name, row in TABLES.items() if dialect in row[1]]


def everything(dialect):
    return routes(dialect, {name: 1 for name in known(dialect)})


def matching(patterns, among):
    """Those that a pattern names; {name} stands for itself."""
    return {route for route in among for pattern in patterns
            if fnmatch.fnmatchcase(route, pattern.replace("[", "[[]"))}


def test_the_document_has_every_switch():
    source = (REPOSITORY / "proxy/import_env.c").read_text()
    rows = re.findall(r'^    \{"(\w+)", ([TML| ]+|ALL), \w+, [^\n]*, (true|false)\},$', source,
                      re.MULTILINE)
    assert len(rows) > 40
    letters = dict(zip("TML", DIALECTS))
    found = {}
    for name, which, default in rows:
        dialects = set(DIALECTS) if which == "ALL" else {letters[x] for x in which.split(" | ")}
        found.setdefault(name, (int(default == "true"), set()))[1].update(dialects)
    assert found == {name: (row[0], set(row[1])) for name, row in TABLES.items()}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", SWITCHES)
def test_what_a_switch_opens_is_what_the_document_says(dialect, name):
    _, dialects, patterns, _ = TABLES[name]
    methods = {m: 1 for m in known(dialect) if TABLES[m][3] != "switch"}
    off = dict.fromkeys(SWITCHES, 0) | methods
    opened = routes(dialect, off | {name: 1})
    assert routes(dialect, off) == set()
    assert opened == (matching(patterns, everything(dialect)) if dialect in dialects else set())
    assert opened or dialect not in dialects


@pytest.mark.parametrize("dialect", ("tecnativa-methods", "linuxserver"))
def test_methods_and_guards(dialect):
    on = {name: 1 for name in known(dialect)}
    whole = everything(dialect)
    for name in on:
        _, _, patterns, kind = TABLES[name]
        less = routes(dialect, on | {name: 0})
        if kind == "guard":
            assert whole - less == matching(patterns, whole) != set()
        elif kind == "method" and dialect == "tecnativa-methods":
            assert whole - less == {r for r in whole if r.startswith(name + " ")}


def test_without_post():
    for dialect in ("tecnativa", "linuxserver"):
        assert {r.split()[0] for r in routes(dialect, {n: 1 for n in known(dialect)} | {"POST": 0})
                if dialect == "tecnativa" or not r.endswith(
                    ("start", "stop", "restart", "kill", "pause"))} == {"GET", "HEAD"}


# --- the verdicts

def passes_there(dialect, switches, method, path):
    """What that proxy does with a request, in the order in which it decides."""
    def on(name):
        return switches.get(name, TABLES[name][0]) and dialect in TABLES[name][1]

    path = re.sub(r"^/v[\d.]+", "", path)
    of_container = re.match(r"/containers/[\w.-]+/(\w+)", path)
    action = of_container[1] if of_container else ""
    acts = any(on(name) and action.startswith(verbs) for name, verbs in (
        ("ALLOW_RESTARTS", ("stop", "restart", "kill")), ("ALLOW_START", "start"),
        ("ALLOW_STOP", "stop"), ("ALLOW_PAUSE", "pause"), ("ALLOW_UNPAUSE", "unpause")))
    if any(action.startswith(guard[6:].lower()) and not on(guard)
           for guard in known(dialect) if TABLES[guard][3] == "guard"):
        return False
    if dialect == "linuxserver" and acts:
        return True
    if method not in ("GET", "HEAD") and not on(
            method if dialect == "tecnativa-methods" else "POST"):
        return False
    section = re.match(r"/_?([a-z]+)", path)[1].upper()
    return acts or (section in SWITCHES and bool(on(section)))


EXAMPLES = {"{name}": "x1", "{id}": "x2"}


def requests():
    """One of each route that any of them can open, and some that none can."""
    for route in sorted(set().union(*map(everything, DIALECTS))):
        method, path = route.split()
        for name, value in EXAMPLES.items():
            path = path.replace(name, value)
        yield method, f"/v1.45{path}"
    yield "GET", "/v1.45/debug/vars"
    yield "POST", "/v1.45/moby.buildkit.v1.Control/Solve"
    yield "GET", "/v1.45/nothing/there"
    yield "POST", "/v1.45/nothing/there"


def refused_here(rig, method, path):
    """Whether the route is refused. A body that is missing or bad is another matter."""
    with rig.client() as client:
        answer = client.request(method, path)
    return answer.status == 403 and (method == "HEAD" or "(endpoint." in answer.message())


def combinations():
    everything_on = {d: {name: 1 for name in known(d)} for d in DIALECTS}
    chance = random.Random(6)
    for dialect in DIALECTS:
        yield dialect, {}
        yield dialect, everything_on[dialect]
        yield dialect, {"CONTAINERS": 1}
        yield dialect, {"CONTAINERS": 1, "POST": 1}
        yield dialect, {"ALLOW_START": 1, "ALLOW_RESTARTS": 1}
        yield dialect, {"POST": 1, "EXEC": 1, "ALLOW_STOP": 1, "EVENTS": 0}
        for _ in range(4):
            yield dialect, {name: chance.randrange(2) for name in known(dialect)}


@pytest.mark.parametrize("dialect, switches", combinations(), ids=itertools.count())
def test_verdicts(make_rig, dialect, switches, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(imported(dialect, switches).stdout)
    rig = make_rig(("unix", "unix"), "--policy-file", policy)
    wrong = [request for request in requests()
             if refused_here(rig, *request) == passes_there(dialect, switches, *request)]
    assert not wrong, (dialect, switches, wrong)


def test_bodies_are_judged_all_the_same(tmp_path):
    policy = tmp_path / "policy.json"
    body = tmp_path / "body.json"
    policy.write_text(imported("tecnativa", {"CONTAINERS": 1, "POST": 1}).stdout)
    for text, status in (('{"Image": "x"}', 0),
                         ('{"Image": "x", "HostConfig": {"Privileged": true}}', 1),
                         ('{"Image": "x", "HostConfig": {"Binds": ["/etc:/etc"]}}', 1)):
        body.write_text(text)
        result = run("explain", "--policy-file", policy, "POST", "/containers/create", body)
        assert result.returncode == status, result


# --- how it is called

def test_the_environment():
    result = run("import-env", env={"CONTAINERS": "1", "PING": "0", "EVENTS": "", "NOTHING": "x",
                                    "TZ": "UTC"})
    assert result.returncode == 0 and "TZ" not in result.stderr, result
    only = json.loads(result.stdout)["endpoints"]["only"]
    assert "GET /containers/json" in only and "GET /version" in only
    assert not any("_ping" in route or "events" in route for route in only)


def test_an_env_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# comment\n\n  INFO=1\r\nPOST=0\nSOCKET_PATH=/x\nDELETE=1\nNO_SUCH=1\n")
    result = run("import-env", file, env={"CONTAINERS": "1"})
    assert result.returncode == 0, result
    only = json.loads(result.stdout)["endpoints"]["only"]
    assert "GET /info" in only and "GET /containers/json" not in only
    assert [line.split()[1] for line in result.stderr.splitlines()] == \
        ["SOCKET_PATH", "DELETE", "NO_SUCH"]


@pytest.mark.parametrize("text, part", (
    ("INFO=true", ":1: INFO=true: must be 0 or 1"),
    ("\nINFO=1x", ":2: INFO=1x"),
    ("INFO", ":1: not NAME=VALUE"),
))
def test_mistakes(tmp_path, text, part):
    file = tmp_path / "env"
    file.write_text(text)
    result = run("import-env", file)
    assert result.returncode == 2 and part in result.stderr and result.stdout == "", result


def test_no_such_file():
    result = run("import-env", "/no/such/file")
    assert result.returncode == 2 and "/no/such/file: No such file" in result.stderr, result


def test_what_breaks_out_is_named_and_can_be_left_out():
    switches = {name: 1 for name in known("tecnativa")}
    loud = imported("tecnativa", switches)
    named = {line.strip() for line in loud.stderr.splitlines() if line.startswith("  ")}
    assert {"POST /containers/{name}/exec", "PUT /containers/{name}/archive",
            "POST /plugins/pull", "POST /swarm/init"} <= named
    safe = routes("tecnativa", switches, "--safe")
    assert routes("tecnativa", switches) - safe == named
    assert imported("tecnativa", {"CONTAINERS": 1, "POST": 0, "IMAGES": 1}, "--safe").stderr.count(
        "\n") == 2, "checkpoints are listed by GET"


def test_help():
    result = run("import-env", "--help")
    assert result.returncode == 0 and "import-env [OPTION]... [ENV-FILE]" in result.stdout
    assert all(dialect in result.stdout for dialect in DIALECTS)
    assert max(map(len, result.stdout.splitlines())) <= 100
