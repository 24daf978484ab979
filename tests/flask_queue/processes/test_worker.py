"""A running worker: how much it holds, and when it looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask

from flask_queue import Concurrency, FlaskQueue
from flask_queue.jobs.definition import JobDefinition
from tests.flask_queue.operations.declared import plain
from tests.harness.tables import Tables
from tests.harness.waiting import eventually, never

from .gates import Gate
from .running import wait_for, worker


@pytest.mark.behaviour("C13")
def test_it_holds_no_more_jobs_than_it_has_threads(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], tables: Tables
) -> None:
    queue.enqueue_all([gated.build(n) for n in range(10)])
    with worker(queue, threads=3):
        eventually(lambda: gate.inside == 3)
        never(lambda: tables.states()["claimed"] > 3, during=0.3)
        gate.opened.set()
        wait_for(queue, finished=10)
    assert gate.most == 3


@pytest.mark.behaviour("C13")
def test_it_may_hold_some_more_where_it_is_told_to(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], tables: Tables
) -> None:
    queue.enqueue_all([gated.build(n) for n in range(10)])
    with worker(queue, threads=2, prefetch=3) as one:
        eventually(lambda: tables.states()["claimed"] == 5)
        eventually(lambda: gate.inside == 2)
        assert len(one.held) == 5
        gate.opened.set()
        wait_for(queue, finished=10)


@pytest.mark.behaviour("C15", "C16")
def test_a_long_job_holds_no_others_up(app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]) -> None:
    short = plain(queue)
    gated.using(priority=-1).enqueue("long")
    queue.enqueue_all([short.build(n) for n in range(30)])
    with worker(queue, threads=2):
        wait_for(queue, finished=30, claimed=1, timeout=10)
        gate.opened.set()
        wait_for(queue, finished=31)


@pytest.mark.behaviour("C16")
@pytest.mark.parametrize("prefetch", [0, 5])
def test_a_long_job_behind_short_ones_holds_no_others_up(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], prefetch: int
) -> None:
    """One thread runs short jobs by itself. When one takes long after all, the others come for the rest of the line."""
    short = plain(queue)
    with worker(queue, threads=3, prefetch=prefetch):
        queue.enqueue_all([short.build(n) for n in range(200)])
        wait_for(queue, finished=200)
        queue.enqueue_all([gated.build(0), gated.build(1), *(short.build(n) for n in range(3)), gated.build(2)])
        eventually(lambda: gate.inside == 3, what="three threads at work")
        wait_for(queue, finished=203)
        gate.opened.set()


@pytest.mark.behaviour("C16")
def test_an_ending_does_not_wait_for_a_long_job_behind_it(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]
) -> None:
    short = plain(queue)
    with worker(queue, threads=1, prefetch=5, polling_interval=30):
        queue.enqueue_all([short.build(), gated.build(0), short.build()])
        wait_for(queue, finished=1, claimed=2)
        gate.opened.set()


@pytest.mark.behaviour("C14")
def test_a_full_worker_with_a_line_sleeps(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it prefetched waits for its threads, and nobody has to watch."""
    polls: list[float] = []
    with worker(queue, threads=2, prefetch=3) as one:
        queue.enqueue_all([gated.build(n) for n in range(9)])
        eventually(lambda: gate.inside == 2 and len(one.held) == 5)
        time.sleep(0.1)
        poll = one.poll
        monkeypatch.setattr(one, "poll", lambda: polls.append(1) or poll())
        time.sleep(1)
        assert len(polls) < 5
        gate.opened.set()
        wait_for(queue, finished=9)


@pytest.mark.behaviour("C14")
def test_the_end_of_a_coroutine_is_no_reason_to_look(app: Flask, queue: FlaskQueue) -> None:
    """Whoever writes an ending down claims besides; a look before would be one statement more for each."""

    @queue.job(name="coroutine")
    async def coroutine() -> None: ...

    looks: list[int] = []
    with worker(queue, coroutines=5, polling_interval=30) as one:
        eventually(lambda: one._looked_at > 0)
        ask = one._accounts.anything_ready
        one._accounts.anything_ready = lambda: looks.append(1) or ask()  # type: ignore[method-assign]
        for number in range(1, 4):
            coroutine.enqueue()
            wait_for(queue, finished=number)
    assert not looks


@pytest.mark.behaviour("I9")
@pytest.mark.databases("postgresql", "mariadb")
def test_it_manages_with_pools_of_one_connection(make_app: Callable[..., Flask], queue: FlaskQueue, database_url: str) -> None:
    bind = {"url": database_url, "pool_size": 1, "max_overflow": 0, "pool_timeout": 3}
    with make_app(SQLALCHEMY_BINDS={"queue": bind}).app_context():
        job = plain(queue)
        with worker(queue, threads=2) as one:
            job.enqueue()
            wait_for(queue, finished=1)
            time.sleep(0.2)  # it looks, and keeps a connection
            job.enqueue()
            wait_for(queue, finished=2, timeout=10)
        assert one.runtime.database.engine.pool.size() == 1  # type: ignore[attr-defined]


@pytest.mark.behaviour("C7")
def test_a_pause_stops_new_jobs_and_a_resume_starts_them_again(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]
) -> None:
    with worker(queue, threads=1):
        gated.enqueue(1)
        eventually(lambda: gate.inside == 1)
        gated.enqueue(2)
        queue.queues["default"].pause()
        gate.opened.set()
        wait_for(queue, finished=1, ready=1)
        never(lambda: len(gate.keys) > 1, during=0.3)
        queue.queues["default"].resume()
        wait_for(queue, finished=2)


@pytest.mark.behaviour("F3", "F4")
def test_a_limit_holds_at_every_instant(app: Flask, queue: FlaskQueue) -> None:
    running_now = {"one": 0, "three": 0}
    most = {"one": 0, "three": 0}
    lock = threading.Lock()

    def body(name: str) -> None:
        with lock:
            running_now[name] += 1
            most[name] = max(most[name], running_now[name])
        time.sleep(0.02)
        with lock:
            running_now[name] -= 1

    @queue.job(concurrency=Concurrency(to=1))
    def one(number: int) -> None:
        body("one")

    @queue.job(concurrency=Concurrency(to=3))
    def three(number: int) -> None:
        body("three")

    for number in range(8):
        one.enqueue(number)
        three.enqueue(number)
    with worker(queue, threads=3), worker(queue, threads=3):
        wait_for(queue, finished=16, blocked=0)
    assert most["one"] == 1
    assert 2 <= most["three"] <= 3


@pytest.mark.behaviour("C10")
def test_workers_together_run_each_job_once(app: Flask, queue: FlaskQueue) -> None:
    started: list[int] = []

    @queue.job
    def job(number: int) -> None:
        started.append(number)

    queue.enqueue_all([job.build(n) for n in range(300)])
    with worker(queue, threads=3), worker(queue, threads=3), worker(queue, threads=3, queues=("default",)):
        wait_for(queue, finished=300, timeout=60)
    assert sorted(started) == list(range(300))
