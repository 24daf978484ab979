"""What tests of processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.jobs.definition import JobDefinition

from .gates import Gate

QUICK = {"QUEUE_HEARTBEAT_INTERVAL": 0.1, "QUEUE_ALIVE_THRESHOLD": 2}


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture
def gated(queue: FlaskQueue, gate: Gate) -> JobDefinition[[object], None]:
    @queue.job(name="gated")
    def gated(key: object) -> None:
        gate.enter(key)

    return gated


@pytest.fixture
def errors(queue: FlaskQueue) -> list[BaseException]:
    """What is reported as an error of the machinery."""
    found: list[BaseException] = []
    queue.on_thread_error(found.append)
    return found


@pytest.fixture
def quick(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    """An application whose processes beat often and are soon taken for dead."""
    app = make_app(**QUICK)
    with app.app_context():
        yield app
