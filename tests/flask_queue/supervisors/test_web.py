"""Whose turn it is to run the supervisor, of several web servers on one host."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, time
from types import SimpleNamespace
from flask_queue.supervisors.web import _wait_for_turn

assert _wait_for_turn(SimpleNamespace(database=SimpleNamespace(identity="of-a-test")), os.getppid())
child = os.fork()
print(child, flush=True) if child else None
time.sleep(60)
"""


@pytest.fixture
def candidates(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts one that waits for its turn, then says the pid of a worker that it has forked, and lives on."""
    with contextlib.ExitStack() as cleanup:

        def start() -> subprocess.Popen[str]:
            environment = {**os.environ, "TMPDIR": str(tmp_path)}
            program = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)
            cleanup.enter_context(program)
            cleanup.callback(program.kill)
            return program

        yield start


def worker_of(candidate: subprocess.Popen[str], *, timeout: float = 15) -> int | None:
    """The pid that it says; None if it has no turn."""
    assert candidate.stdout
    ready, _, _ = select.select([candidate.stdout], [], [], timeout)
    return int(candidate.stdout.readline()) if ready else None


@pytest.mark.behaviour("J14")
def test_a_supervisor_that_was_killed_makes_way_though_its_workers_live(
    candidates: Callable[[], subprocess.Popen[str]],
) -> None:
    first = candidates()
    orphan = worker_of(first)
    assert orphan
    try:
        second = candidates()
        assert worker_of(second, timeout=1) is None
        first.kill()
        first.wait()
        worker = worker_of(second)
        assert worker
        os.kill(worker, signal.SIGKILL)
    finally:
        os.kill(orphan, signal.SIGKILL)
