"""A running worker: how much it holds, when it looks, what it does about trouble, and how it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from flask_queue import Concurrency, FlaskQueue, Retry, current_job
from flask_queue.config import WorkerOptions
from flask_queue.jobs.definition import JobDefinition
from flask_queue.processes.worker import Worker
from tests.flask_queue.operations.by_hand import ago, change, set_heartbeat, supervisor
from tests.flask_queue.operations.declared import plain
from tests.flask_queue.relay import Relay
from tests.harness.databases import connect
from tests.harness.tables import Tables
from tests.harness.waiting import eventually, never

from .running import running, wait_for, worker

QUICK = {"QUEUE_HEARTBEAT_INTERVAL": 0.1, "QUEUE_ALIVE_THRESHOLD": 2}


class Gate:
    """Jobs that wait here until the test lets them go on."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.inside = 0
        self.most = 0
        self.keys: list[Any] = []
        self._lock = threading.Lock()

    def enter(self, key: Any = None) -> None:
        with self._lock:
            self.keys.append(key)
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            assert self.opened.wait(30)
        finally:
            with self._lock:
                self.inside -= 1


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


def let_late_endings_through(gate: Gate, process: Worker) -> None:
    """Let jobs go on whose worker has ended, and see their threads out."""
    gate.opened.set()
    eventually(lambda: gate.inside == 0)
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith(process.name)])
    process.runtime.database.dispose()


# --- how much it holds ----------------------------------------------------------------------------------


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
def test_a_full_worker_does_not_look_and_begins_at_once_when_it_can(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]
) -> None:
    looks: list[float] = []
    first = gated.enqueue("first")
    with worker(queue, threads=1, polling_interval=0.02) as one:
        eventually(lambda: gate.keys == ["first"])
        gated.enqueue("second")
        time.sleep(0.1)
        event.listen(one.runtime.database.engine, "before_cursor_execute", lambda *args: looks.append(time.monotonic()))
        never(lambda: looks, during=0.4)
        freed = time.monotonic()
        gate.opened.set()
        eventually(lambda: gate.keys == ["first", "second"])
        assert time.monotonic() - freed < 1
        wait_for(queue, finished=2)
    assert first.status == "finished"


@pytest.mark.behaviour("C17")
def test_a_look_at_an_empty_line_locks_nothing(app: Flask, queue: FlaskQueue) -> None:
    plain(queue).using(queue="other").enqueue()
    statements: list[str] = []
    with worker(queue, queues="mail", polling_interval=0.02) as one:
        engine = one.runtime.database.engine
        event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
        eventually(lambda: len(statements) > 10)
        seen = list(statements)
    assert not [text for text in seen if "FOR UPDATE" in text or text.startswith(("UPDATE queue_jobs", "BEGIN"))]


@pytest.mark.behaviour("C14")
def test_it_hears_of_new_jobs_before_its_next_look(app: Flask, queue: FlaskQueue) -> None:
    """Of those that this host enqueues, many at once too, and when a transaction makes some ready."""
    job = plain(queue)
    with worker(queue, polling_interval=30):
        time.sleep(0.2)
        started = time.monotonic()
        job.enqueue()
        wait_for(queue, finished=1)
        queue.enqueue_all([job.build(n) for n in range(2)])
        wait_for(queue, finished=3)
        job.using(wait=60).enqueue().run_now()
        wait_for(queue, finished=4)
        assert time.monotonic() - started < 10


@pytest.mark.behaviour("C14")
@pytest.mark.parametrize("threads", [1, 3])
def test_it_hears_of_new_jobs_while_it_writes_endings_down(app: Flask, queue: FlaskQueue, threads: int) -> None:
    """Full or not: each job is enqueued just as the one before it ends."""
    begun = threading.Semaphore(0)

    @queue.job
    def job() -> None:
        begun.release()

    with worker(queue, threads=threads, polling_interval=60):
        for number in range(40):
            job.enqueue()
            assert begun.acquire(timeout=20), f"job {number} was not heard of"
    wait_for(queue, finished=40)


@pytest.mark.behaviour("C14")
@pytest.mark.databases("postgresql")
def test_it_hears_of_jobs_that_other_hosts_enqueue(
    app: Flask, queue: FlaskQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database carries the message; the folder of this host's mailboxes is another one for whoever enqueues."""
    job = plain(queue)
    with worker(queue, polling_interval=30):
        queue.client.announcer._folder = tmp_path
        time.sleep(0.2)
        started = time.monotonic()
        job.enqueue()
        wait_for(queue, finished=1)
        queue.enqueue_all([job.build(n) for n in range(2)])
        wait_for(queue, finished=3)
        assert time.monotonic() - started < 10


@pytest.mark.behaviour("C14")
@pytest.mark.databases("postgresql")
def test_it_hears_again_after_the_server_was_away(
    relay: Relay, make_app: Callable[..., Flask], queue: FlaskQueue, tmp_path: Path
) -> None:
    job = plain(queue)
    app = make_app(SQLALCHEMY_BINDS={"queue": relay.url})
    with app.app_context(), worker(queue, polling_interval=1.5):
        job.enqueue()
        wait_for(queue, finished=1)
        relay.close()
        relay.open()
        queue.database.dispose()
        job.enqueue()
        wait_for(queue, finished=2)
        queue.client.announcer._folder = tmp_path
        queue.client.announcer._addresses = []
        latencies = []
        for count in range(3, 9):
            started = time.monotonic()
            job.enqueue()
            wait_for(queue, finished=count)
            latencies.append(time.monotonic() - started)
        assert min(latencies) < 0.5
        assert sum(latencies) < 3, "polls alone would take 0.75 s each"


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


# --- coroutines -----------------------------------------------------------------------------------------


def test_coroutines_run_many_at_once_beside_the_threads(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]
) -> None:
    together: list[int] = []
    inside = 0

    @queue.job
    async def job(number: int) -> None:
        nonlocal inside
        inside += 1
        together.append(inside)
        await asyncio.sleep(0.2)
        inside -= 1

    queue.enqueue_all([job.build(n) for n in range(40)])
    gated.enqueue("thread")
    with worker(queue, threads=1, coroutines=20) as one:
        eventually(lambda: gate.inside == 1)
        wait_for(queue, finished=40)
        assert max(together) > 10
        assert max(together) <= 20
        gate.opened.set()
        wait_for(queue, finished=41)
        eventually(lambda: one.held == {})


def test_a_coroutine_that_takes_too_long_is_cancelled_and_fails(app: Flask, queue: FlaskQueue) -> None:
    cleaned: list[bool] = []

    @queue.job(timeout=0.1)
    async def job() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cleaned.append(True)

    handle = job.enqueue()
    with worker(queue):
        wait_for(queue, failed=1)
    assert handle.error is not None
    assert handle.error.error_class == "JobTimeoutError"
    assert "0.1 s" in handle.error.message
    assert cleaned == [True]


def test_a_timeout_of_the_jobs_own_is_its_own_error(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(timeout=20)
    async def job() -> None:
        raise TimeoutError("of a request")

    handle = job.enqueue()
    with worker(queue):
        wait_for(queue, failed=1)
    assert handle.error is not None
    assert (handle.error.error_class, handle.error.message) == ("TimeoutError", "of a request")


def test_coroutines_that_do_not_end_go_back_into_the_queue(make_app: Callable[..., Flask], queue: FlaskQueue) -> None:
    started = threading.Event()

    @queue.job
    async def job() -> None:
        started.set()
        await asyncio.sleep(60)

    with make_app(QUEUE_SHUTDOWN_TIMEOUT=0.2).app_context():
        handle = job.enqueue()
        with worker(queue):
            assert started.wait(10)
        assert (handle.status, handle.errors) == ("ready", [])


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


# --- the end ----------------------------------------------------------------------------------------------


@pytest.mark.behaviour("I11")
def test_a_worker_that_ends_gives_back_what_does_not_end_in_time(
    make_app: Callable[..., Flask], queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], tables: Tables
) -> None:
    events: list[tuple[str, Any]] = []
    queue.events.subscribe(
        lambda name, payload: events.append((name, payload["released_job_ids"])) if name == "stop_process" else None
    )
    with make_app(QUEUE_SHUTDOWN_TIMEOUT=0.3).app_context():
        handles = [gated.enqueue(n) for n in range(4)]
        started = time.monotonic()
        with worker(queue, threads=2, prefetch=1) as one:
            eventually(lambda: gate.inside == 2 and len(one.held) == 3)
            started = time.monotonic()
        assert time.monotonic() - started < 4
        assert [handle.status for handle in handles] == ["ready"] * 4
        assert [handle.attempt_count for handle in handles] == [0] * 4
        let_late_endings_through(gate, one)
        assert [handle.status for handle in handles] == ["ready"] * 4, "late endings change nothing"
    assert not tables.processes()
    assert events == [("stop_process", [handle.id for handle in handles[:3]])]


@pytest.mark.behaviour("I11")
def test_a_worker_that_is_told_to_quit_waits_for_nobody(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]
) -> None:
    handle = gated.enqueue(1)
    with worker(queue) as one:
        eventually(lambda: gate.inside == 1)
        started = time.monotonic()
        one.quit()
        eventually(lambda: handle.status == "ready", timeout=5)
        assert time.monotonic() - started < 5
    let_late_endings_through(gate, one)


@pytest.mark.behaviour("D15")
def test_a_long_job_sees_that_it_should_leave_off(app: Flask, queue: FlaskQueue) -> None:
    started = threading.Event()

    @queue.job
    def job() -> None:
        started.set()
        while not current_job.stopping:
            time.sleep(0.01)

    handle = job.enqueue()
    with worker(queue) as one:
        assert started.wait(10)
        one.stop()
    assert handle.status == "finished"


@pytest.mark.behaviour("J1")
def test_what_runs_is_finished_and_what_waits_is_left(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]
) -> None:
    handles = [gated.enqueue(n) for n in range(3)]
    with worker(queue, threads=1, prefetch=1) as one:
        eventually(lambda: len(one.held) == 2 and gate.inside == 1)
        one.stop()
        threading.Timer(0.2, gate.opened.set).start()
    assert [handle.status for handle in handles] == ["finished", "ready", "ready"]


@pytest.mark.behaviour("I1")
def test_it_says_what_it_does(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    with running(
        Worker(queue.runtime().private(), WorkerOptions(queues=("a", "b*"), threads=5, polling_interval=0.2)), supervisor_id=77
    ) as one:
        [row] = tables.processes()
        assert (row.id, row.kind, row.name, row.supervisor_id) == (one.id, "Worker", one.name, 77)
        assert row.metadata == {"queues": "a,b*", "polling_interval": 0.2, "thread_pool_size": 5}
        assert repr(one) == (
            f"Worker(pid={one.pid}, hostname={one.hostname}, "
            "metadata={polling_interval: 0.2, queues: a,b*, thread_pool_size: 5})"
        )
    assert not tables.processes()


@pytest.mark.behaviour("L3")
def test_hooks_are_called_between_registration_and_first_look_and_before_the_drain(
    app: Flask, queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None], tables: Tables
) -> None:
    calls: list[Any] = []

    @queue.on_worker_start
    def start(process: Worker) -> None:
        calls.append(("start", process.queues, len(tables.processes()), tables.states()["claimed"]))

    @queue.on_worker_start
    def start_too(process: Worker) -> None:
        calls.append("start too")

    @queue.on_worker_stop
    def stop(process: Worker) -> None:
        calls.append(("stop", gate.inside))
        gate.opened.set()

    @queue.on_worker_exit
    def exit(process: Worker) -> None:
        calls.append(("exit", len(tables.processes())))

    gated.enqueue(1)
    with worker(queue):
        eventually(lambda: gate.inside == 1)
    assert calls == [("start", ("*",), 1, 0), "start too", ("stop", 1), ("exit", 0)]


@pytest.mark.behaviour("L2")
def test_a_hook_that_raises_is_reported_and_stops_nothing(app: Flask, queue: FlaskQueue, errors: list[BaseException]) -> None:
    for point in (queue.on_worker_start, queue.on_worker_stop, queue.on_worker_exit):

        @point
        def fail(process: Worker) -> None:
            raise OSError("hook")

    handle = plain(queue).enqueue()
    with worker(queue):
        wait_for(queue, finished=1)
    assert handle.status == "finished"
    assert [str(error) for error in errors] == ["hook"] * 3


@pytest.mark.behaviour("L4")
def test_events_tell_what_was_claimed_and_how_it_ended(app: Flask, queue: FlaskQueue) -> None:
    facts: list[tuple[str, dict[str, Any]]] = []

    @queue.job
    def job(fail: bool) -> None:
        if fail:
            raise ValueError

    handles = [job.enqueue(False), job.enqueue(True)]
    queue.events.subscribe(lambda name, payload: facts.append((name, payload)))
    with worker(queue, threads=2) as one:
        wait_for(queue, finished=1, failed=1)
    claims = [payload for name, payload in facts if name == "claim"]
    assert sorted(job_id for claim in claims for job_id in claim["job_ids"]) == [handle.id for handle in handles]
    assert {claim["process_id"] for claim in claims} == {one.id}
    endings = [ending for name, payload in facts if name == "finish" for ending in payload["endings"]]
    assert {ending.claim.job_id: ending.outcome.name for ending in endings} == {
        handles[0].id: "FINISHED",
        handles[1].id: "FAILED",
    }
    assert [name for name, _ in facts if name.endswith("_process")] == ["start_process", "stop_process"]
