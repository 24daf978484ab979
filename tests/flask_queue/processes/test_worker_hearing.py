"""When a worker looks for jobs, and of what it hears before it would look."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event

import flask_queue.processes.accounts
import flask_queue.processes.worker
import flask_queue.wakeup
from flask_queue import Concurrency, FlaskQueue, Retry, current_job
from flask_queue.database import Database
from flask_queue.jobs.definition import JobDefinition
from flask_queue.operations.marks import Marks
from flask_queue.wakeup import Listener
from tests.flask_queue.operations.declared import plain
from tests.flask_queue.relay import Relay
from tests.harness.waiting import eventually, never

from .gates import Gate
from .running import wait_for, worker


@pytest.mark.behaviour("C14")
def test_it_looks_at_the_beginning_of_the_line_as_soon_as_there_is_nothing_behind_its_mark(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "keeps_what_is_gone", True)
    monkeypatch.setattr(flask_queue.processes.worker, "Marks", lambda: Marks(quick=0.0, share=1e-12))

    @queue.job(name="flaky", retry=Retry(attempts=2, wait=0))
    def flaky() -> None:
        assert current_job.attempt == 2

    queue.enqueue_all([flaky.build(), plain(queue).build()])
    with worker(queue, threads=1, polling_interval=30):
        wait_for(queue, finished=2, timeout=10)


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


@pytest.fixture
def other_host(queue: FlaskQueue, tmp_path: Path) -> None:
    """Whatever is announced is announced from another host: its folder of mailboxes is not that of the workers."""
    announcer = queue.client.announcer
    announcer._folder, announcer._addresses = tmp_path, []


@pytest.mark.behaviour("C7", "C14")
@pytest.mark.databases("postgresql")
def test_it_hears_of_whatever_other_hosts_make_ready(app: Flask, queue: FlaskQueue, other_host: None) -> None:
    """What they enqueue, late too, resume, run now and let in: the database carries the message."""
    ran: list[str] = []

    @queue.job(name="limited", concurrency=Concurrency(key=lambda what: "key", to=1))
    def limited(what: str) -> None:
        ran.append(what)

    job = plain(queue)
    queue.queues["default"].pause()
    with worker(queue, queues=("default",), polling_interval=30):
        job.enqueue()
        queue.queues["default"].resume()
        wait_for(queue, finished=1)
        job.using(wait=60).enqueue().run_now()
        wait_for(queue, finished=2)
        queue.enqueue_all([job.build(n) for n in range(2)])
        wait_for(queue, finished=4)
        holder = limited.using(queue="nobody's").enqueue("never")
        limited.enqueue("when it is let in")
        holder.discard()
        wait_for(queue, finished=5)
        job.using(at=datetime.now(UTC) - timedelta(hours=1)).enqueue()
        wait_for(queue, finished=6)
    assert ran == ["when it is let in"]


@pytest.mark.behaviour("C14")
def test_a_worker_of_another_queue_hears_of_what_an_ending_lets_in(app: Flask, queue: FlaskQueue, gate: Gate) -> None:
    @queue.job(name="limited", concurrency=Concurrency(key=lambda what: "key", to=1))
    def limited(what: str) -> None:
        gate.enter(what)

    with worker(queue, queues=("first",), polling_interval=30), worker(queue, queues=("second",), polling_interval=30):
        limited.using(queue="first").enqueue("holder")
        eventually(lambda: gate.keys == ["holder"])
        limited.using(queue="second").enqueue("next")
        wait_for(queue, blocked=1)
        time.sleep(0.3)  # until the second has looked in vain
        gate.opened.set()
        wait_for(queue, finished=2)


@pytest.mark.behaviour("C14")
def test_another_worker_hears_of_what_one_that_ends_has_to_leave(app: Flask, queue: FlaskQueue, gate: Gate) -> None:
    """At once, although that one has another job to wait for."""
    is_retried = threading.Event()

    @queue.job(name="flaky", retry=Retry(attempts=2, wait=0))
    def flaky() -> None:
        attempt = current_job.attempt
        gate.enter(attempt)
        assert attempt == 2

    @queue.job(name="long")
    def long() -> None:
        gate.enter("long")
        is_retried.wait(20)

    with worker(queue, polling_interval=30) as ending:
        queue.enqueue_all([flaky.build(), long.build()])
        eventually(lambda: set(gate.keys) == {1, "long"})
        with worker(queue, polling_interval=30):
            time.sleep(0.3)  # until it has looked in vain
            ending.stop()
            eventually(lambda: not ending._exchange.has_room)  # else it would take the job again itself
            gate.opened.set()
            wait_for(queue, finished=1, timeout=10)
            assert ending.held, "it waits for the other job still"
            is_retried.set()
    wait_for(queue, finished=2)


@pytest.fixture
def listener(app: Flask, queue: FlaskQueue) -> Iterator[Listener]:
    """Listens as a worker does."""
    listener = Listener(queue.database)
    listener.open()
    yield listener
    listener.close()


def hears(listener: Listener) -> bool:
    """Whether it hears something soon; not at once, as PostgreSQL does not wait for who listens."""
    return bool(select.select(listener.descriptors(), [], [], 5)[0]) and listener.drain()


def is_quiet(listener: Listener) -> bool:
    return not select.select(listener.descriptors(), [], [], 0.2)[0]


@pytest.mark.behaviour("C14")
def test_each_job_that_is_ready_is_announced_once(queue: FlaskQueue, listener: Listener) -> None:
    job = plain(queue)
    for enqueue in (job.enqueue, lambda: queue.enqueue_all([job.build(), job.using(wait=60).build()])):
        enqueue()
        assert hears(listener)
        assert is_quiet(listener)
    job.using(wait=60).enqueue()
    queue.enqueue_all([job.using(wait=60).build()])
    assert is_quiet(listener)


@pytest.mark.behaviour("C14")
@pytest.mark.databases("postgresql")
def test_the_mailbox_is_listened_to_only_while_the_server_cannot_be_heard(queue: FlaskQueue, listener: Listener) -> None:
    queue.client.announcer.announce()
    assert is_quiet(listener)
    listener._notifications.close()  # type: ignore[union-attr]
    assert hears(listener)
    plain(queue).enqueue()
    assert hears(listener)
    assert is_quiet(listener)


@pytest.mark.behaviour("C14")
@pytest.mark.parametrize("queues", [("*",), ("default",)])
def test_what_a_worker_takes_itself_is_not_announced(
    queue: FlaskQueue, listener: Listener, gate: Gate, queues: tuple[str, ...]
) -> None:
    """The next job of a key, which its ending lets in."""

    @queue.job(name="limited", concurrency=Concurrency(key=lambda: "key", to=1))
    def limited() -> None:
        gate.enter()

    with worker(queue, queues=queues, threads=1, polling_interval=30):
        limited.enqueue()
        limited.enqueue()
        eventually(lambda: gate.inside == 1)
        while not is_quiet(listener):
            listener.drain()
        gate.opened.set()
        wait_for(queue, finished=2)
    assert is_quiet(listener)


@pytest.mark.behaviour("C14")
@pytest.mark.parametrize(("interval", "times"), [(0.0, 2), (30.0, 1)])
def test_what_a_worker_of_all_queues_lets_in_and_leaves_is_announced_now_and_then(
    queue: FlaskQueue, listener: Listener, monkeypatch: pytest.MonkeyPatch, interval: float, times: int
) -> None:
    """An urgent job takes the place in which the next one of the key could have run."""
    monkeypatch.setattr(flask_queue.processes.accounts, "TELLING_INTERVAL", interval)
    turnstile = threading.Semaphore(0)
    begun: list[str] = []

    def begin(name: str) -> None:
        begun.append(name)
        assert turnstile.acquire(timeout=30)

    limited = queue.job(begin, name="limited", concurrency=Concurrency(key=lambda name: "key", to=1))
    urgent = queue.job(begin, name="urgent", priority=-1)
    told = 0
    with worker(queue, threads=1, polling_interval=30):
        for _ in range(3):
            limited.enqueue("limited")
        for number in (1, 3):
            eventually(lambda number=number: begun[number - 1 :] == ["limited"])
            urgent.enqueue("urgent")
            while not is_quiet(listener):
                listener.drain()
            turnstile.release()
            eventually(lambda number=number: begun[number:] == ["urgent"])
            told += not is_quiet(listener)
            turnstile.release()
        turnstile.release()
        wait_for(queue, finished=5)
    assert told == times


@pytest.mark.behaviour("C14")
@pytest.mark.databases("postgresql")
def test_who_listens_to_the_server_again_looks_once_more(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For what has become ready between its look and its LISTEN."""
    job = plain(queue)
    with worker(queue, polling_interval=30) as one:
        eventually(lambda: one._listener.hears_all)
        time.sleep(0.3)  # until it has looked in vain
        listen = one._listener._open_notifications

        def listen_late() -> None:
            with app.app_context():
                job.enqueue()
            listen()

        monkeypatch.setattr(one._listener, "_open_notifications", listen_late)
        one._listener._notifications.close()  # type: ignore[union-attr]
        one._looked_at = float("-inf")
        one._alarm.wake()
        wait_for(queue, finished=1, timeout=10)
        assert one._listener.hears_all
