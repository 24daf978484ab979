"""Queues by name: how full they are, and whether workers keep away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.errors import QueueError
from flask_queue.operations import queues
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, ago, change
from .declared import limited, plain
from .interleaving import at_once, times


@pytest.mark.behaviour("C18")
def test_the_size_counts_ready_jobs_alone(app: Flask, queue: FlaskQueue) -> None:
    job, narrow = plain(queue), limited(queue)
    assert queue.queues["default"].size == 0
    for _ in range(3):
        job.enqueue()
    job.using(wait=60).enqueue()
    job.using(queue="other").enqueue()
    narrow.enqueue("a")
    narrow.enqueue("a")
    WorkerByHand(queue, "default").claim(1)
    assert queue.queues["default"].size == 3


@pytest.mark.behaviour("C18")
def test_the_latency_is_the_age_of_the_oldest_ready_job(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    assert queue.queues["default"].latency == 0.0
    old, older = job.enqueue(), job.enqueue()
    change(queue, old.id, scheduled_at=ago(5))
    change(queue, older.id, scheduled_at=ago(90))
    assert 90 <= queue.queues["default"].latency < 100
    older.discard()
    assert 5 <= queue.queues["default"].latency < 15


@pytest.mark.behaviour("C18")
def test_a_scheduled_job_waits_from_when_it_was_due(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).using(wait=60).enqueue()
    change(queue, handle.id, scheduled_at=ago(3), created_at=ago(5000))
    handle.run_now()
    assert queue.queues["default"].latency < 100


@pytest.mark.behaviour("C18", "B7")
def test_no_job_has_waited_since_before_it_was_made(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    one, other = plain(queue).using(at=past), limited(queue).using(at=past)
    handles = [one.enqueue(1), other.enqueue("a"), one.build(1), other.build("b")]
    queue.enqueue_all(handles[2:])
    assert [handle.status for handle in handles] == ["ready"] * 4
    assert all(tables.job(handle.id).scheduled_at >= tables.job(handle.id).created_at for handle in handles)
    assert queue.queues["default"].latency < 100


@pytest.mark.behaviour("C18")
def test_who_waits_behind_a_long_line_is_seen(app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """More urgent jobs keep coming, or older ones that were due later: the ends of a long line tell, without reading it all."""
    monkeypatch.setattr(queues, "LOOKED_AT", 3)
    job = plain(queue)
    first, _, third, fourth, *_ = (job.using(priority=1).enqueue() for _ in range(6))
    last = job.using(priority=2).enqueue()
    change(queue, last.id, scheduled_at=ago(600))
    change(queue, third.id, scheduled_at=ago(90))
    change(queue, fourth.id, scheduled_at=ago(900))  # between the ends
    assert 600 <= queue.queues["default"].latency < 610
    last.discard()
    change(queue, first.id, scheduled_at=ago(30))
    assert 90 <= queue.queues["default"].latency < 100


@pytest.mark.behaviour("C20")
def test_a_queue_that_is_paused_twice_at_once_is_paused_once(app: Flask, queue: FlaskQueue) -> None:
    for name in ("one", "two", "three"):
        at_once(app, *times(3, queue.queues[name].pause))
    with queue.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT queue_name FROM queue_pauses ORDER BY queue_name").scalars().all() == [
            "one",
            "three",
            "two",
        ]
    with queue.database.begin() as connection:
        assert not queues.pause(connection, "one")
        assert queues.resume(connection, "one")
        assert not queues.resume(connection, "one")
        assert queues.pause(connection, "one")


@pytest.mark.behaviour("C20")
def test_a_paused_queue_without_jobs_is_listed(app: Flask, queue: FlaskQueue) -> None:
    queue.job(queue="declared")(lambda: None)
    queue.queues["empty"].pause()
    listed = {line.name: line for line in queue.queues.overview()}
    assert listed["empty"].paused
    assert listed["empty"].size == 0
    assert not listed["declared"].paused
    assert list(listed) == sorted(listed) == [handle.name for handle in queue.queues]
    assert "empty" in queue.queues
    queue.queues["empty"].resume()
    assert "empty" not in queue.queues
    assert not queue.queues["empty"].paused


def test_an_overview_takes_a_fixed_number_of_statements(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    from .plans import statements_of

    job = plain(queue)
    for n in range(12):
        job.using(queue=f"q{n:02}").enqueue()
        job.using(queue=f"q{n:02}").enqueue()
    with statements_of(queue.database) as statements:
        lines = queue.queues.overview()
    assert len(statements) == 3
    assert [(line.name, line.size) for line in lines if line.size] == [(f"q{n:02}", 2) for n in range(12)]
    assert all(0 <= line.latency < 60 for line in lines)


@pytest.mark.parametrize("name", ["a*", "a,b", "", "  ", "x" * 256, "a\nb"])
def test_a_name_that_no_queue_can_have_is_refused(app: Flask, queue: FlaskQueue, name: str) -> None:
    with pytest.raises(QueueError, match="queue="):
        queue.queues[name]
