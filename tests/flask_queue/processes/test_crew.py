"""The scheduler's few threads: as many as can be had, and none that is counted though it does not run."""

from __future__ import annotations

import threading

import pytest

from flask_queue.processes.crew import Crew
from tests.harness.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many more threads the system has, in a list of one number."""
    left = [0]
    start = threading.Thread.start

    def start_within_limit(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_within_limit)
    return left


@pytest.mark.usefixtures("limit")
def test_without_threads_the_caller_does_the_errands_and_can_do_so_again() -> None:
    crew, done = Crew(2, name="crew"), list[str]()
    for _ in range(3):
        assert crew.run([lambda: done.append(threading.current_thread().name)] * 2, patience=5)
    assert done == [threading.current_thread().name] * 6


def test_a_thread_that_could_not_be_started_takes_nobodys_place(limit: list[int]) -> None:
    crew, together = Crew(2, name="crew"), threading.Barrier(2, timeout=5)
    crew.run([lambda: None] * 4, patience=5)
    limit[0] = 2
    assert crew.run([lambda: _meet(together)] * 2, patience=5)
    assert limit == [0]


def test_one_thread_does_what_others_were_wanted_for(limit: list[int]) -> None:
    crew, done = Crew(4, name="crew"), list[str]()
    limit[0] = 1
    assert crew.run([lambda: done.append(threading.current_thread().name)] * 3, patience=5)
    assert done == ["crew"] * 3
    eventually(lambda: crew._threads == 0)


def _meet(barrier: threading.Barrier) -> None:
    barrier.wait()
