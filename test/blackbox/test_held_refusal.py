"""A refused build whose client opens a session beside it: the refusal waits until that can be up."""

import re

from client import assert_refusal, build_request
from recorder import answer_ok, wait_until
from test_metrics import Scrape

BUILD = "/v1.41/build?version=2&networkmode=host"
HELD_MS = 1000


def durations(rig, count):
    """Of the refused requests, in milliseconds, in the order of their ends."""
    def found():
        lines = re.findall(r"verdict=deny .*duration_ms=(\d+)", rig.proxy.log())
        return len(lines) == count and lines
    return [int(ms) for ms in wait_until(found, 10, f"{count} refusals in the log")]


def test_it_waits_and_the_connection_goes_on(make_rig, hops, tmp_path):
    metrics = f"unix://{tmp_path}/metrics.sock"
    rig = make_rig(hops, "--workers", "1", "--head-timeout", "300ms", "--idle-timeout", "300ms",
                   "--metrics", metrics)
    rig.handler = answer_ok
    client, other = rig.client(), rig.client()
    # What is pipelined behind it is not answered before it.
    client.send(build_request("POST", BUILD + "&session=x", [], b"") +
                build_request("GET", "/v1.41/info"))
    other.send(build_request("POST", BUILD, [], b""))
    assert_refusal(other.read_response(), 403, "build.networkmode")
    assert_refusal(client.read_response(), 403, "build.networkmode")
    assert client.read_response().status == 200
    at_once, held = durations(rig, 2)
    assert at_once < HELD_MS <= held
    assert Scrape(metrics)["answer_seconds_sum"] >= HELD_MS / 1000


def test_without_buildkit_nothing_is_waited_for(make_rig, hops):
    rig = make_rig(hops, "--buildkit", "deny")
    client = rig.client()
    client.send(build_request("POST", BUILD + "&session=x", [], b""))
    assert_refusal(client.read_response(), 403, "build.buildkit")
    assert durations(rig, 1)[0] < HELD_MS


def test_a_client_that_leaves_meanwhile(make_rig, hops):
    rig = make_rig(hops)
    client = rig.client()
    client.send(build_request("POST", BUILD + "&session=x", [], b""))
    client.close()
    rig.proxy.wait_log("rule=build.networkmode")
    rig.assert_nothing_reached()
