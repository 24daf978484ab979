"""Waiting for something to become true, with a deadline, so that no test sleeps longer than it must."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, timeout: float = 10, what: str | Callable[[], str] = "") -> T:
    """Ask until the answer is true, and return it. Fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while not (answer := condition()):
        if time.monotonic() > deadline:
            reason = what() if callable(what) else what
            raise AssertionError(f"still not true after {timeout} s: {reason or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return answer


def never(condition: Callable[[], object], *, during: float, what: str = "") -> None:
    """Watch for a while that something does not become true."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        answer = condition()
        assert not answer, f"became true: {what or condition}: {answer}"
        time.sleep(0.02)
