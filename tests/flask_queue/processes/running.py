"""Processes of the queue in threads of a test, for the length of a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from flask_queue import FlaskQueue
from flask_queue.config import WorkerOptions
from flask_queue.processes.registered import Process
from flask_queue.processes.worker import Worker
from tests.harness.waiting import eventually

P = TypeVar("P", bound=Process)


@contextmanager
def running(process: P, **options: Any) -> Iterator[P]:
    """Run a process in a thread; it is told to stop at the end, and has to."""
    started = threading.Event()
    thread = threading.Thread(target=process.run, kwargs={"started": started.set, **options}, daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield process
    finally:
        process.stop()
        thread.join(20)
        assert not thread.is_alive()
        process.runtime.database.dispose()


@contextmanager
def worker(queue: FlaskQueue, **options: Any) -> Iterator[Worker]:
    """A worker that runs."""
    options = {"polling_interval": 0.05, **options}
    with running(Worker(queue.runtime().private(), WorkerOptions(**options))) as process:
        yield process


def wait_for(queue: FlaskQueue, *, timeout: float = 15, **states: int) -> None:
    """Until as many jobs are in each of these states."""

    def reached() -> bool:
        return all(queue.jobs.in_state(state).count() == count for state, count in states.items())

    def found() -> str:
        return str({state: queue.jobs.in_state(state).count() for state in states})

    eventually(reached, timeout=timeout, what=lambda: f"{states}, but found {found()}")
