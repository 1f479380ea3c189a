"""Many builds over one /grpc connection, with a real engine behind the proxy."""

import secrets
import time

import pytest

from docker_engine import IMAGE

grpc_client = pytest.importorskip("grpc_client", reason="no python3-h2 here")

REFUSED = 5000


@pytest.fixture
def client(proxied):
    with grpc_client.GrpcClient(proxied.environment) as client:
        yield client


def build(client, name, command, network=0):
    ref = f"{name}-{secrets.token_hex(8)}"
    graph = grpc_client.command_graph(f"docker.io/{IMAGE}", command, network)
    return ref, client.call("Solve", grpc_client.solve(ref, graph, f"docker.io/one/{name}:1"))


def built(proxied):
    lines = proxied.engine.docker("images", "--format", "{{.Repository}}", text=True).stdout
    return sorted(line for line in lines.split() if line.startswith("one/"))


@pytest.fixture(autouse=True)
def nothing_built(proxied):
    for name in built(proxied):
        proxied.engine.docker("rmi", f"{name}:1")


def test_refused_among_running_builds(client, proxied):
    """Every second one asks for the host's network. The others finish, and what was refused the
    engine has never begun."""
    begin = time.monotonic()
    asked = [build(client, f"n{i}", ["sh", "-c", f"sleep 2; echo {i} > /n"], network=i % 2)
             for i in range(8)]
    refused = client.finish(*(stream for _, stream in asked[1::2]))
    assert time.monotonic() - begin < 2, "a refusal waits for nothing"
    for status, text in refused:
        assert status == "7" and "blocked by jailoc proxy: " in text, (status, text)
        assert "(buildkit.exec-network)" in text
    assert client.finish(*(stream for _, stream in asked[::2])) == [("0", "")] * 4, \
        proxied.proxy.log()[-2000:]
    assert built(proxied) == [f"one/n{i}" for i in range(0, 8, 2)]
    for i in range(0, 8, 2):
        assert proxied.docker("run", "--rm", f"one/n{i}:1", "cat", "/n").stdout == f"{i}\n"

    # The engine knows the jobs of builds that it has begun, and of no other.
    (status, text), = client.finish(client.call("Status", grpc_client.field(1, asked[1][0])))
    assert status != "0" and asked[1][0] in text, (status, text)
    # It goes on building in the same connection.
    _, stream = build(client, "after", ["true"])
    assert client.finish(stream) == [("0", "")]


def test_thousands_of_refusals(client, proxied):
    """Credit and streams are all there afterwards: an ordinary build still passes, with a message
    larger than any window."""
    graph = grpc_client.command_graph(f"docker.io/{IMAGE}", ["true", "x" * 500], 1)
    message = grpc_client.solve("ref", graph, "docker.io/one/never:1")
    running = []
    for _ in range(REFUSED):
        running.append(client.call("Solve", message))
        if len(running) == 50:
            assert {status for status, _ in client.finish(*running)} == {"7"}
            running.clear()
    _, stream = build(client, "large", ["true", *("x" * 1000 for _ in range(300))])
    status = client.finish(stream)
    assert status == [("0", "")] or "argument list too long" in status[0][1], status
    _, stream = build(client, "small", ["true"])
    assert client.finish(stream) == [("0", "")]
    assert "one/never" not in built(proxied)
