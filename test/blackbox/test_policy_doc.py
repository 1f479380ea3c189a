"""filter/policy.md documents the keys that there are, and its examples are policies."""

import json
import re

import pytest

from proxy_process import REPOSITORY
from test_cli import OK, fails, run

PAGE = (REPOSITORY / "filter/policy.md").read_text()


def table(heading):
    """The cells of every row in the tables of a section and of those below it."""
    level = heading.split(" ")[0]
    text = PAGE[PAGE.index(f"\n{heading}\n") + len(heading) + 2:]
    text = re.split(rf"\n#{{1,{len(level)}}} ", text)[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0].startswith("`")]


KEYS = table("## Keys")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def load(tmp_path, policy):
    path = tmp_path / "policy.json"
    path.write_text(policy if isinstance(policy, str) else json.dumps(policy))
    return run("--policy-file", path, "--check-config", "--listen", f"unix://{tmp_path}/p.sock",
               "--upstream", f"unix://{tmp_path}/engine.sock")


def test_every_key_and_nothing_else():
    source = (REPOSITORY / "filter/policy_keys.c").read_text()
    rows = source[source.index("const struct policy_key policy_keys[]"):]
    keys = re.findall(r'(?:KEY\w*\(|\.path = )"([a-z.-]+)"', rows[:rows.index("};")])
    assert len(keys) > 45
    documented = [row[0].strip("`") for row in KEYS]
    assert sorted(documented) == sorted(keys)
    assert all(len(row) == 5 and all(cell.strip() for cell in row) for row in KEYS)


def test_every_condition_and_nothing_else():
    source = (REPOSITORY / "filter/client_match.c").read_text()
    conditions = re.findall(r'^    \{"([a-z-]+)", (?:true|false), ', source, re.MULTILINE)
    documented = [name for row in table("## Clients") for name in re.findall(r"`([\w-]+)`", row[0])]
    assert len(conditions) == 5 and sorted(documented) == sorted(conditions)


def test_every_preset_and_nothing_else():
    source = (REPOSITORY / "filter/policy_keys.c").read_text()
    names = re.findall(r'"([a-z-]+)"', source[source.index("presets[]"):source.index("buildkits")])
    documented = [row[0].strip("`") for row in table("## Presets")]
    assert len(names) == 4 and sorted(documented) == sorted(names)


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row[0].strip("`"))
def test_the_example_of_a_key_is_right(tmp_path, row):
    path = row[0].strip("`")
    value = json.loads("{" + row[4].strip("`") + "}")
    sections = path.split(".")
    if sections[0] == "limits":
        assert list(value) == [sections[1]] and list(value[sections[1]]) == [sections[2]]
        sections = sections[:2]
    else:
        assert list(value) == [sections[-1]]
    for section in reversed(sections[:-1]):
        value = {section: value}
    policy = {"schema": 1} | value
    if path == "other-clients":
        policy["clients"] = [{"name": "a", "match": {"uid": 1}}]
    result = load(tmp_path, policy)
    assert result.status == OK, result


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_are_policies(tmp_path, number):
    assert len(EXAMPLES) == 7
    result = load(tmp_path, EXAMPLES[number])
    assert result.status == OK, result


def printed(result):
    """The policy in effect, as --check-config prints it behind the options."""
    assert result.status == OK, result
    return result.out[result.out.index("\n{") + 1:]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_what_is_printed_is_the_same_policy(tmp_path, number):
    """Read again it prints the same; and it says all that the example says."""
    text = printed(load(tmp_path, EXAMPLES[number]))
    assert printed(load(tmp_path, text)) == text

    def holds(part, whole):
        if isinstance(part, dict):
            return all(holds(value, whole[key]) for key, value in part.items())
        return part == whole or isinstance(whole, int)  # a size is printed in bytes
    shown = json.loads(text)
    clients, others = EXAMPLES[number].get("clients", []), shown.get("clients", [])
    assert [c["name"] for c in clients] == [c["name"] for c in others]
    assert all(holds(c, o) for c, o in zip(clients, others))
    assert holds({k: v for k, v in EXAMPLES[number].items() if k != "clients"}, shown)


def test_the_errors_are_those_that_there_are(tmp_path):
    errors = re.findall(r"^    dind-proxy: policy\.json:(\d+):(\d+): (.*)", PAGE, re.MULTILINE)
    wrong = ['{\n  "schema": 1,\n  "create": {\n    "capabilties": ["ALL"]\n  }\n}',
             '{"schema": 1,\n  "preset": "block-list"}',
             '{"schema": 1,\n "endpoints": {\n "deny": [], "allow": ["POST /container/{name}/exec"]}}']
    assert len(errors) == len(wrong)
    for (line, column, text), policy in zip(errors, wrong):
        result = load(tmp_path, policy)
        fails(result, f"{tmp_path}/policy.json:{line}:{column}: {text}")
