"""When a supervisor may judge others by their silence."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Connection

from flask_queue import FlaskQueue
from flask_queue.operations import registration
from flask_queue.supervisors import attention
from flask_queue.supervisors.attention import Attention
from flask_queue.supervisors.maintenance import Maintenance
from flask_queue.supervisors.pidfile import Pidfile
from flask_queue.supervisors.thread import ThreadSupervisor
from tests.flask_queue.operations.by_hand import WorkerByHand
from tests.harness.tables import Tables

pytestmark = [pytest.mark.behaviour("I2"), pytest.mark.databases("sqlite")]


class Clocks:
    """The two clocks, by hand."""

    def __init__(self) -> None:
        self.awake, self.wall = 1000.0, 5000.0

    def monotonic(self) -> float:
        return self.awake

    def time(self) -> float:
        return self.wall

    def advance(self, seconds: float, *, asleep: float = 0) -> None:
        self.awake += seconds
        self.wall += seconds + asleep


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(attention, "time", clocks)
    return clocks


@pytest.fixture
def looking(app: Flask, queue: FlaskQueue, clocks: Clocks) -> Attention:
    """The attention of one that has looked around for a while; heartbeats every 15 s, threshold 60 s."""
    looking = Attention(queue.settings)
    assert looking.is_full, "who starts finds those that have long been dead"
    for _ in range(3):
        looking.look()
        clocks.advance(1)
    assert looking.is_full
    return looking


@pytest.mark.parametrize(("stopped", "asleep"), [(50, 0), (0, 50)])
def test_who_was_away_gives_others_the_time_for_a_heartbeat(
    looking: Attention, clocks: Clocks, stopped: float, asleep: float
) -> None:
    clocks.advance(stopped, asleep=asleep)
    looking.look()
    assert not looking.is_full
    clocks.advance(2 * 15)
    assert not looking.is_full
    clocks.advance(6)
    assert looking.is_full


def test_nobody_becomes_late_by_a_short_absence_or_a_clock_that_is_set_back(looking: Attention, clocks: Clocks) -> None:
    clocks.advance(40)
    looking.look()
    clocks.advance(1, asleep=-3600)
    looking.look()
    assert looking.is_full


def test_nobody_is_pruned_right_after_an_outage_of_the_database(
    app: Flask, queue: FlaskQueue, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could beat: the supervisor must not be the first to write, and take the others for dead."""

    def refuse(connection: Connection, process_id: int) -> bool:
        raise ConnectionError("the database is away")

    one = ThreadSupervisor(queue.runtime(), queue.configuration(), [], Pidfile(None))
    one.register()
    assert one.id is not None
    one._maintenance = Maintenance(one.runtime, one.id)
    worker = WorkerByHand(queue)
    worker.fall_silent(400)
    with monkeypatch.context() as patch:
        patch.setattr(registration, "heartbeat", refuse)
        one._beaten_at = float("-inf")
        one.poll()
    one.poll()
    assert [row.id for row in tables.processes("Worker")] == [worker.id]
    one.attention.since -= one.attention.notice
    one.poll()
    assert tables.processes("Worker") == []
