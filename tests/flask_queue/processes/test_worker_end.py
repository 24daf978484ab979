"""How a worker ends, and what it says of itself."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue, current_job
from flask_queue.config import WorkerOptions
from flask_queue.jobs.definition import JobDefinition
from flask_queue.processes.worker import Worker
from tests.flask_queue.operations.by_hand import ago, change
from tests.flask_queue.operations.declared import plain
from tests.harness.tables import Tables
from tests.harness.waiting import eventually

from .gates import Gate, let_late_endings_through
from .running import running, wait_for, worker


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


@pytest.mark.behaviour("I11", "K2")
def test_what_never_began_is_given_back_though_it_waited_for_long(
    make_app: Callable[..., Flask], queue: FlaskQueue, gate: Gate, gated: JobDefinition[[object], None]
) -> None:
    """It is dropped when the worker begins to end, whose heartbeats go on meanwhile: it is no claim of which it never heard."""
    with make_app(QUEUE_HEARTBEAT_INTERVAL=0.1, QUEUE_ALIVE_THRESHOLD=2, QUEUE_SHUTDOWN_TIMEOUT=1).app_context():
        runs, waits = gated.enqueue(1), gated.enqueue(2)
        with worker(queue, threads=1, prefetch=1) as one:
            eventually(lambda: gate.inside == 1 and len(one.held) == 2)
            change(queue, waits.id, claimed_at=ago(100))
        assert [waits.status, runs.status] == ["ready", "ready"]
        assert waits.errors == []
    let_late_endings_through(gate, one)


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


@pytest.mark.behaviour("J1")
@pytest.mark.databases("sqlite")
def test_stop_signals_are_for_the_main_thread(app: Flask, queue: FlaskQueue) -> None:
    """The kernel hands a second one to any other thread that takes it, and nothing wakes the main one then."""
    with worker(queue) as one:
        [heartbeat] = [thread for thread in threading.enumerate() if thread.name == f"heartbeat of {one.name}"]

        def blocked() -> int:
            status = Path(f"/proc/self/task/{heartbeat.native_id}/status").read_text()
            return int(status.partition("SigBlk:")[2].split()[0], 16)

        eventually(lambda: all(blocked() >> number - 1 & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)))
