"""Whether this kernel has TLS: tests that are about it skip, aloud, where it has not."""

import os
from pathlib import Path

import pytest

REASON = "this kernel has no TLS (see ktls in tools/testing/run-suites for one that has)"


def available():
    try:
        names = Path("/proc/sys/net/ipv4/tcp_available_ulp").read_text().split()
    except OSError:
        names = []
    # Inside the virtual machine that is made for it, skipping would be a silent failure.
    assert "tls" in names or "KTLS_VM" not in os.environ, "the virtual machine has no kernel TLS"
    return "tls" in names


def needed_for(*transports):
    if "mtls" in transports and not available():
        pytest.skip(REASON)
