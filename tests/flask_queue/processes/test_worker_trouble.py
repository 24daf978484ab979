"""A running worker whose jobs take too long, or whose database is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from flask_queue import FlaskQueue, Retry, current_job
from flask_queue.jobs.definition import JobDefinition
from tests.flask_queue.operations.by_hand import WorkerByHand, ago, change, set_heartbeat, supervisor
from tests.flask_queue.operations.declared import limited, plain
from tests.flask_queue.relay import Relay
from tests.harness.databases import connect
from tests.harness.tables import Tables
from tests.harness.waiting import eventually, never

from .gates import Gate, let_late_endings_through
from .running import wait_for, worker

# --- jobs that take too long ------------------------------------------------------------------------------


def test_a_thread_that_takes_too_long_is_interrupted_and_goes_on_with_the_next_job(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(timeout=0.2)
    def endless() -> None:
        while True:
            time.sleep(0.01)

    job = plain(queue)
    handle = endless.enqueue()
    job.enqueue()
    with worker(queue, threads=1) as one:
        wait_for(queue, failed=1, finished=1)
        job.enqueue()
        wait_for(queue, finished=2)
        assert not one.is_stuck
    assert handle.error is not None
    assert handle.error.error_class == "JobTimeoutError"


def test_a_job_within_its_time_is_left_alone(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(timeout=0.3)
    def job() -> None:
        time.sleep(0.05)

    queue.enqueue_all([job.build() for _ in range(12)])
    with worker(queue, threads=1):
        wait_for(queue, finished=12)


def test_a_timeout_may_lead_to_another_attempt(app: Flask, queue: FlaskQueue) -> None:
    from flask_queue.errors import JobTimeoutError

    @queue.job(timeout=0.1, retry=Retry(attempts=2, on=JobTimeoutError, wait=0))
    def job() -> None:
        while current_job.attempt == 1:
            time.sleep(0.01)

    handle = job.enqueue()
    with worker(queue, threads=1):
        wait_for(queue, finished=1)
    assert len(handle.errors) == 1


def test_a_worker_with_a_thread_that_cannot_be_interrupted_ends(
    app: Flask, queue: FlaskQueue, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its supervisor to replace it. The job has failed by then, and its late ending changes nothing."""
    monkeypatch.setattr("flask_queue.processes.pool.GRACE", 0.2)

    @queue.job(timeout=0.1)
    def stuck() -> None:
        gate.enter()  # one long wait outside Python

    handle = stuck.enqueue()
    with worker(queue, threads=2) as one:
        eventually(lambda: one.is_stuck and one.stopping)
        wait_for(queue, failed=1)
    let_late_endings_through(gate, one)
    assert handle.status == "failed"
    assert len(handle.errors) == 1


# --- trouble ----------------------------------------------------------------------------------------------


@pytest.mark.behaviour("D8", "I5")
def test_a_worker_whose_registration_is_gone_claims_nothing_more_and_ends(
    quick: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], tables: Tables
) -> None:
    first = gated.enqueue(1)
    with worker(queue, threads=1) as one:
        eventually(lambda: gate.inside == 1)
        set_heartbeat(queue.database, one.id or 0, 100)
        supervisor(queue).run_if_due()
        assert first.status == "failed"
        second = gated.enqueue(2)
        eventually(lambda: one.stopping, timeout=5)
        gate.opened.set()
    assert (first.status, len(first.errors), second.status) == ("failed", 1, "ready")
    assert gate.keys == [1]


@pytest.mark.behaviour("I6", "I7")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_worker_that_is_not_heard_of_for_long_ends_itself(
    relay: Relay, make_app: Callable[..., Flask], queue: FlaskQueue, errors: list[BaseException]
) -> None:
    app = make_app(SQLALCHEMY_BINDS={"queue": relay.url}, QUEUE_HEARTBEAT_INTERVAL=0.1, QUEUE_ALIVE_THRESHOLD=1)
    with app.app_context(), worker(queue) as one:
        relay.close()
        time.sleep(0.4)
        assert not one.stopping
        relay.open()
        never(lambda: one.stopping, during=1)
        relay.close()
        eventually(lambda: one.stopping, timeout=5)
        relay.open()
    assert errors


@pytest.mark.behaviour("I6")
def test_a_worker_that_is_heard_of_stays_though_it_cannot_look_for_lost_claims(
    quick: Flask, queue: FlaskQueue, errors: list[BaseException], database_url: str
) -> None:
    handle = plain(queue).using(wait=3600).enqueue()
    with worker(queue) as one:
        with connect(database_url) as connection:
            connection.execute(text("ALTER TABLE queue_jobs RENAME TO queue_jobs_away"))
            try:
                eventually(lambda: errors)
                never(lambda: one.stopping, during=3)
            finally:
                connection.execute(text("ALTER TABLE queue_jobs_away RENAME TO queue_jobs"))
        handle.run_now()
        wait_for(queue, finished=1)


@pytest.mark.behaviour("I8")
def test_it_beats_until_its_last_job_is_through(
    quick: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], tables: Tables
) -> None:
    handle = gated.enqueue(1)
    with worker(queue) as one:
        eventually(lambda: gate.inside == 1)
        one.stop()
        before = tables.processes()[0].last_heartbeat_at
        eventually(lambda: tables.processes()[0].last_heartbeat_at > before)
        set_heartbeat(queue.database, one.id or 0, 1.5)
        time.sleep(0.6)
        supervisor(queue).run_if_due()
        gate.opened.set()
    assert (handle.status, handle.errors) == ("finished", [])


@pytest.mark.behaviour("I9")
@pytest.mark.databases("postgresql", "mariadb")
def test_it_beats_and_ends_jobs_although_they_hold_every_connection(
    quick: Flask, queue: FlaskQueue, tables: Tables, db: Any
) -> None:
    held = threading.Barrier(4)
    release = threading.Event()

    @queue.job
    def greedy() -> None:
        engine = db.engines["queue"]
        connections = [engine.connect() for _ in range(5)]
        held.wait(20)
        assert release.wait(20)
        for connection in connections:
            connection.close()

    queue.enqueue_all([greedy.build() for _ in range(3)])
    with worker(queue, threads=3):
        held.wait(20)
        assert db.engines["queue"].pool.checkedout() == 15, "all there are"
        before = tables.processes()[0].last_heartbeat_at
        eventually(lambda: tables.processes()[0].last_heartbeat_at > before)
        release.set()
        wait_for(queue, finished=3)


@pytest.mark.behaviour("K4", "D11")
@pytest.mark.databases("postgresql", "mariadb")
def test_endings_wait_for_a_database_that_was_away(
    relay: Relay, make_app: Callable[..., Flask], queue: FlaskQueue, gate: Gate, errors: list[BaseException], tables: Tables
) -> None:
    @queue.job(name="gated")
    def gated(key: int) -> None:
        gate.enter(key)
        if key == 2:
            raise ValueError("its own")

    app = make_app(SQLALCHEMY_BINDS={"queue": relay.url})
    with app.app_context():
        handles = [gated.enqueue(n) for n in range(3)]
        with worker(queue, threads=3):
            eventually(lambda: gate.inside == 3)
            relay.close()
            gate.opened.set()
            eventually(lambda: gate.inside == 0)
            time.sleep(1)
            assert tables.states() == {"claimed": 3}
            relay.open()
            wait_for(queue, finished=2, failed=1)
            gated.enqueue(3)
            wait_for(queue, finished=3)
        assert sorted(gate.keys) == [0, 1, 2, 3], "none ran twice"
        assert [len(handle.errors) for handle in handles] == [0, 0, 1]
        assert handles[2].error is not None
        assert handles[2].error.message == "its own"
    assert errors


@pytest.mark.behaviour("K4")
@pytest.mark.databases("sqlite")
def test_endings_wait_for_a_database_that_another_one_has_locked(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], database_url: str
) -> None:
    handle = gated.enqueue(1)
    with worker(queue):
        eventually(lambda: gate.inside == 1)
        with exclusive(database_url):
            gate.opened.set()
            eventually(lambda: gate.inside == 0)
            time.sleep(0.5)
        wait_for(queue, finished=1)
    assert handle.errors == []


@contextmanager
def exclusive(url: str) -> Iterator[None]:
    """Somebody else holds SQLite's lock."""
    with connect(url) as connection:
        connection.execute(text("BEGIN EXCLUSIVE"))
        yield
        connection.execute(text("ROLLBACK"))


@pytest.mark.behaviour("K4")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_job_that_has_run_is_not_given_back_by_a_worker_that_cannot_say_so(
    relay: Relay,
    make_app: Callable[..., Flask],
    queue: FlaskQueue,
    gate: Gate,
    gated: JobDefinition[[object], None],
    tables: Tables,
) -> None:
    """It ends while the database is away, and comes back to find the claim still there."""
    app = make_app(SQLALCHEMY_BINDS={"queue": relay.url}, QUEUE_SHUTDOWN_TIMEOUT=0.5)
    with app.app_context():
        ran, waits = gated.enqueue("ran"), plain(queue).using(queue="none").enqueue()
        reopen = threading.Event()

        with worker(queue, threads=1) as one:
            eventually(lambda: gate.inside == 1)
            relay.close()
            gate.opened.set()
            eventually(lambda: one.unwritten == [ran.id])
            original = one.deregister

            def deregister() -> None:
                relay.open()
                reopen.set()
                original()

            one.deregister = deregister  # type: ignore[method-assign]
            one.stop()
            assert reopen.wait(20)
        assert tables.job(ran.id).state in ("claimed", "finished")
        queue.database.dispose()
        supervisor(queue).run_if_due()
        assert ran.status in ("failed", "finished")
        assert waits.status == "ready"


@pytest.mark.behaviour("D11")
def test_an_error_of_a_claim_is_reported_and_passes(
    app: Flask, queue: FlaskQueue, errors: list[BaseException], database_url: str
) -> None:
    handle = plain(queue).enqueue()
    with connect(database_url) as connection:
        connection.execute(text("ALTER TABLE queue_pauses RENAME TO queue_pauses_away"))
    with worker(queue):
        eventually(lambda: errors)
        with connect(database_url) as connection:
            connection.execute(text("ALTER TABLE queue_pauses_away RENAME TO queue_pauses"))
        wait_for(queue, finished=1)
    assert handle.errors == []


@pytest.mark.behaviour("D11")
@pytest.mark.databases("postgresql", "mariadb")
def test_an_ending_on_a_connection_that_breaks_is_written_with_all_that_follows(
    app: Flask, queue: FlaskQueue, database_url: str
) -> None:
    """Not by itself on a new connection: nobody would let the next one in."""
    first, second = (limited(queue).enqueue("a") for _ in range(2))
    one = WorkerByHand(queue)
    claim = one.claim_one()
    with queue.database.connect() as connection:
        own = "pg_backend_pid()" if connection.dialect.name == "postgresql" else "connection_id()"
        number = connection.exec_driver_sql(f"SELECT {own}").scalar_one()
    with connect(database_url) as other:
        end = "SELECT pg_terminate_backend(%s)" if other.dialect.name == "postgresql" else "KILL %s"
        other.exec_driver_sql(end, (number,))
    with pytest.raises(DBAPIError) as raised:
        one.finish(claim)
    assert raised.value.connection_invalidated
    assert [first.status, second.status] == ["claimed", "blocked"]
    one.finish(claim)
    assert [first.status, second.status] == ["finished", "ready"]


@pytest.mark.behaviour("K2")
def test_a_claim_that_it_does_not_know_of_is_failed(quick: Flask, queue: FlaskQueue, tables: Tables, database_url: str) -> None:
    """The database has it for this worker's; the answer was lost on the way."""
    lost, other = plain(queue).using(queue="none").enqueue(), plain(queue).enqueue()
    with worker(queue, queues=("default",)) as one:
        change(queue, lost.id, state="claimed", process_id=one.id, claimed_at=ago(100))
        wait_for(queue, failed=1, finished=1)
    assert lost.error is not None
    assert lost.error.error_class == "ProcessMissingError"
    assert other.status == "finished"
