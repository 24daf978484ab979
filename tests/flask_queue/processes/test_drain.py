"""The worker for one go: `flask queue work`, and tests."""

from __future__ import annotations

import gc
import os
import time
from functools import partial
from typing import Any

import pytest
from flask import Flask

from flask_queue import Concurrency, FlaskQueue, Retry
from flask_queue.config import DispatcherOptions
from flask_queue.processes.drain import Drain
from tests.flask_queue.operations.by_hand import WorkerByHand, ago, change
from tests.flask_queue.operations.declared import limited, plain
from tests.harness.databases import connect
from tests.harness.tables import Tables


@pytest.mark.behaviour("N5", "B2")
def test_it_runs_what_is_due_and_what_becomes_due_by_it(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    @queue.job(name="parent")
    def parent() -> None:
        child.enqueue()

    child = plain(queue, "child")
    narrow = limited(queue)
    parent.enqueue()
    for _ in range(3):
        narrow.enqueue("a")
    due, later = child.using(wait=60).enqueue(), child.using(wait=60).enqueue()
    change(queue, due.id, scheduled_at=ago(1))
    assert queue.work() == 6
    assert tables.states() == {"finished": 6, "scheduled": 1}
    assert later.status == "scheduled"


@pytest.mark.behaviour("N5")
def test_it_runs_no_more_than_it_is_told(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    for _ in range(5):
        job.enqueue()
    assert [queue.work(limit=2), queue.work(limit=0), queue.work(limit=9), queue.work()] == [2, 0, 3, 0]
    assert tables.states() == {"finished": 5}


def test_it_keeps_to_its_queues_in_their_order(app: Flask, queue: FlaskQueue) -> None:
    order: list[str] = []

    @queue.job
    def job(name: str) -> None:
        order.append(name)

    for name in ("c", "b", "a"):
        job.using(queue=name).enqueue(name)
    queue.queues["b"].pause()
    assert queue.work(queues=("a", "b", "c")) == 2
    assert order == ["a", "c"]


@pytest.mark.behaviour("N3", "I1")
def test_it_is_registered_while_it_works_and_leaves_nothing(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    seen: list[Any] = []

    @queue.job
    def job() -> None:
        [process] = queue.processes
        seen.append((process.kind, process.pid, process.metadata["queues"], process.id == tables.jobs()[0].process_id))

    job.enqueue()
    queue.work()
    assert seen == [("Worker", os.getpid(), "*", True)]
    assert not tables.processes()


@pytest.mark.behaviour("C13")
def test_it_holds_one_job_at_a_time(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    held: list[int] = []

    @queue.job
    def job() -> None:
        held.append(tables.states()["claimed"])

    for _ in range(4):
        job.enqueue()
    queue.work()
    assert held == [1, 1, 1, 1]


def test_a_job_that_takes_too_long_is_interrupted_and_the_next_one_is_not(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(timeout=0.2)
    def job(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.01)

    late, next_one = job.enqueue(5), job.enqueue(0)
    assert queue.work() == 2
    assert [late.status, next_one.status] == ["failed", "finished"]
    assert late.error is not None
    assert late.error.error_class == "JobTimeoutError"
    time.sleep(0.3)  # for what might still hit the caller


@pytest.mark.behaviour("E1")
def test_retries_that_wait_are_left_for_later(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    @queue.job(retry=Retry(attempts=3, wait=60))
    def job() -> None:
        raise ValueError

    handle = job.enqueue()
    for _ in range(3):
        assert queue.work() == 1
        if handle.status == "scheduled":
            change(queue, handle.id, scheduled_at=ago(1))
    assert handle.status == "failed"
    assert queue.work() == 0


@pytest.mark.behaviour("F4")
def test_jobs_that_run_one_at_a_time_finish_all(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    @queue.job(concurrency=Concurrency())
    def job(number: int) -> None:
        assert tables.states()["claimed"] + tables.states()["ready"] == 1

    queue.enqueue_all([job.build(n) for n in range(11)])
    assert queue.work() == 11
    assert tables.states() == {"finished": 11}


@pytest.mark.behaviour("K4")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_job_is_not_run_again_because_its_ending_could_not_be_written_at_once(
    app: Flask, queue: FlaskQueue, tables: Tables, database_url: str
) -> None:
    """The server closed every connection while the job ran."""
    ran: list[int] = []

    @queue.job
    def job() -> None:
        ran.append(1)
        close_connections(database_url)

    handle = job.enqueue()
    plain(queue).enqueue()
    assert queue.work() == 2
    assert ran == [1]
    queue.database.dispose()
    assert handle.status == "finished"
    assert not tables.processes()


def close_connections(url: str) -> None:
    """As a restart of the server does."""
    with connect(url) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        others = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        for number in connection.exec_driver_sql(others).scalars().all():
            connection.exec_driver_sql(f"KILL {number}")


@pytest.mark.behaviour("D14")
@pytest.mark.databases("sqlite")
def test_no_file_stays_open(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)

    def files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    job.enqueue()  # which opens what later announcements go through
    queue.work()
    before = files()
    for _ in range(10):
        job.enqueue()
        queue.work()
    assert files() <= before


@pytest.mark.behaviour("C10")
def test_what_another_worker_holds_is_left_alone(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    held, free = job.enqueue(), job.enqueue()
    WorkerByHand(queue).claim_one()
    assert queue.work() == 1
    assert (held.status, free.status) == ("claimed", "finished")


@pytest.mark.behaviour("N5", "F14")
def test_it_looks_through_all_keys_for_forgotten_jobs(
    app: Flask, queue: FlaskQueue, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the last of several batches of keys has one."""
    monkeypatch.setattr("flask_queue.processes.drain.DispatcherOptions", partial(DispatcherOptions, batch_size=2))
    job = limited(queue)
    hand = WorkerByHand(queue)
    for key in range(4):
        job.enqueue(key)
    hand.claim(4)
    for key in range(4):
        job.enqueue(key)
    first, _ = job.enqueue(9), job.enqueue(9)
    change(queue, first.id, state="finished", expires_at=None)
    assert queue.work() == 1
    assert tables.states() == {"finished": 2, "claimed": 4, "blocked": 4}


@pytest.mark.behaviour("J1")
@pytest.mark.databases("sqlite")
def test_a_second_signal_counts_although_the_first_is_not_through(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handlers interrupt each other: of two signals at once neither is to take itself for the first."""
    process = Drain(queue.runtime(), limit=None, queues=("*",))
    stop, interrupts = process.stop, iter([process.interrupt])

    def interrupted() -> None:
        for interrupt in interrupts:
            interrupt()
        stop()

    monkeypatch.setattr(process, "stop", interrupted)
    process.interrupt()
    assert process.quitting
