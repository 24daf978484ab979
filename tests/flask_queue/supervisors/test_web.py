"""Whose turn it is to run the supervisor, of several web servers on one host; and who watches over it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flask_queue.supervisors.web import _Watch
from tests.harness.waiting import eventually

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


@pytest.mark.behaviour("J14")
def test_the_pid_of_a_supervisor_that_has_ended_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be another process's by now. The web server is told to stop just then, and asks for the supervisor's end."""
    kills: list[tuple[int, int]] = []
    released = threading.Event()

    def kill(pid: int, number: int) -> None:
        kills.append((pid, number))
        released.wait(10)

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr("flask_queue.supervisors.web._GRACE", 0.1)
    watch = _Watch(os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ))
    watch.start()
    eventually(lambda: kills)
    watch.end(0.1)
    released.set()
    watch.end(10)
    assert kills == [(os.getpid(), signal.SIGTERM)]
