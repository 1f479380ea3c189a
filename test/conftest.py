"""For all suites: no test may hang."""

import signal

import pytest

LIMIT_SECONDS = 300


@pytest.fixture(autouse=True)
def no_hang():
    """Interrupts whatever the test's main thread waits for."""
    def expired(_number, _frame):
        raise TimeoutError(f"the test took longer than {LIMIT_SECONDS} s")
    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(LIMIT_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
