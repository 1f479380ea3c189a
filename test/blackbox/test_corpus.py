"""Every request of the corpora through the real binary: the expected verdict, and nothing refused
reaches the engine.

A line is one request: `id`, `method`, `target`, `headers`, `body` or `body_b64`, `expect` (allow,
deny or bad-request), `also_ok`, `why`, and in our own corpus `policy`, a key of POLICIES.
"""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

from client import assert_refusal
from proxy_process import REPOSITORY, binary, clean_environment
from rig import Rig
from streams import Truncated

OWN = Path(__file__).with_name("corpus.jsonl")
SHARED = Path(os.environ.get("DIND_PROXY_CORPUS")
              or REPOSITORY.parent / "shared" / "policy-corpus.jsonl")
POLICIES = {
    "corpus": ["--policy", "blocklist", "--buildkit", "opaque", "--allow-bind", "/workspace/**"],
    "default": [],
    "allowlist": ["--policy", "allowlist"],
    "unknown": ["--allow-unknown-endpoints"],
    "folder": ["--allow-bind", "/cache", "--allow-bind", "/srv/tree/**"],
}
STATUS = {"deny": {403}, "bad-request": {400, 411, 413, 414, 415, 431, 505}}


def load(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def cases(path):
    if not path.exists():
        reason = f"no corpus at {path}; DIND_PROXY_CORPUS names another place"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    return [pytest.param(case, id=case["id"]) for case in load(path)]


def body_of(case):
    if case.get("body_b64"):
        return base64.b64decode(case["body_b64"])
    return (case["body"] or "").encode()


def wire(case):
    """The request as the corpus says to send it."""
    body = body_of(case)
    names = {name.lower() for name in case["headers"]}
    lines = [f"{case['method']} {case['target']} HTTP/1.1"]
    if "host" not in names:
        lines.append("Host: docker")
    for name, values in case["headers"].items():
        for value in values if isinstance(values, list) else [values]:
            lines.append(f"{name}: {value}")
    if "content-length" not in names and "transfer-encoding" not in names:
        if body or case["method"] in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def rigs(tmp_path_factory, certificates):
    """One rig for each policy; its worker is alone, so that a barrier orders everything."""
    made = {}

    def get(policy):
        if policy not in made:
            directory = tmp_path_factory.mktemp("rig")
            options = [*POLICIES[policy], "--workers", "1"]
            made[policy] = Rig(directory, certificates, ("unix", "unix"), options)
        return made[policy]

    yield get
    for rig in made.values():
        rig.close()


def send_and_classify(rig, request, method):
    """The verdict that the answer shows, and the answer."""
    with rig.client() as client:
        client.send(request)
        try:
            response = client.read_response(method)
        except (Truncated, ConnectionError):
            return "bad-request", None
    if response.status == 200:
        return "allow", response
    for verdict, statuses in STATUS.items():
        if response.status in statuses:
            return verdict, response
    return f"status {response.status}", response


def explained(case):
    """The verdict that `explain` gives; None where headers have a part in it, or where the request
    is no argument."""
    body = body_of(case)
    plain = {"Host": "docker", "Content-Type": "application/json"}
    if not case["headers"].items() <= plain.items() or not case["target"].startswith("/"):
        return None
    if body and "Content-Type" not in case["headers"]:
        return None
    command = [binary(), *POLICIES[case.get("policy", "corpus")], "explain", "--", case["method"],
               case["target"], *(["-"] if body else [])]
    try:
        result = subprocess.run(command, input=body, capture_output=True, env=clean_environment(),
                                timeout=60)
    except ValueError:  # a NUL
        return None
    return result.stdout.decode().partition("\n")[0].removeprefix("verdict: ")


def run(rigs, case):
    rig = rigs(case.get("policy", "corpus"))
    request = wire(case)
    mark = rig.recorder.mark()
    verdict, response = send_and_classify(rig, request, case["method"])
    shown = response.body if response else b"connection closed"
    assert verdict in [case["expect"], *case.get("also_ok", [])], (case["why"], shown)
    assert explained(case) in (None, verdict)
    if verdict == "allow":
        assert rig.reached(mark) == [request]
        return
    rig.assert_nothing_reached(mark)
    if response and case["method"] != "HEAD":
        assert_refusal(response, response.status)


@pytest.mark.parametrize("case", cases(SHARED))
def test_shared_corpus(rigs, case):
    run(rigs, case)


@pytest.mark.parametrize("case", cases(OWN))
def test_own_corpus(rigs, case):
    run(rigs, case)


def test_own_corpus_is_well_formed():
    """Each case has an id of its own, a reason, and the fields that `run` reads."""
    own = load(OWN)
    assert len({case["id"] for case in own}) == len(own) >= 120
    for case in own:
        assert case["expect"] in ("allow", *STATUS), case["id"]
        assert case["why"] and case["policy"] in POLICIES, case["id"]
