"""Whether this kernel has TLS: tests that are about it skip, aloud, where it has not."""

import os
from pathlib import Path

import pytest

REASON = "this kernel has no TLS; the suite ktls runs this in a virtual machine, where there is one"


def available():
    try:
        names = Path("/proc/sys/net/ipv4/tcp_available_ulp").read_text().split()
    except OSError:
        names = []
    # Inside the virtual machine that is made for it, skipping would be a silent failure.
    assert "tls" in names or "KTLS_VM" not in os.environ, "the virtual machine has no kernel TLS"
    return "tls" in names


def options():
    """In that machine the proxy has to use it, or to fail."""
    return ["--ktls", "require"] if "KTLS_VM" in os.environ else []


def needed_for(*transports):
    if "mtls" in transports and not available():
        pytest.skip(REASON)
