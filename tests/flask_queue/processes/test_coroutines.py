"""Coroutine jobs on the event loop of a worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.jobs.definition import JobDefinition
from flask_queue.processes.coroutines import EventLoop
from flask_queue.processes.performer import Ending, Performer
from tests.flask_queue.operations.by_hand import WorkerByHand
from tests.harness.waiting import eventually, never

from .gates import Gate
from .running import wait_for, worker


@pytest.mark.databases("sqlite")
def test_what_ends_together_makes_one_call(app: Flask, queue: FlaskQueue) -> None:
    """Each call wakes the worker, which would write the endings down one by one."""
    gates: list[asyncio.Event] = []

    @queue.job
    async def job(number: int) -> None:
        if number >= 10:
            gates.append(asyncio.Event())
            await gates[-1].wait()

    def open_gates() -> None:
        for gate in gates:
            gate.set()

    queue.enqueue_all([job.build(n) for n in range(20)])
    claims = WorkerByHand(queue).claim(0, coroutines=20)
    ended: list[Ending] = []
    ended_at_calls: list[int] = []
    loop = EventLoop(
        Performer(queue.runtime(), lambda: False), ended.append, lambda: ended_at_calls.append(len(ended)), name="loop"
    )
    loop.post(claims)
    eventually(lambda: ended_at_calls == [10])
    assert loop._loop is not None
    loop._loop.call_soon_threadsafe(open_gates)
    eventually(lambda: ended_at_calls == [10, 20])
    never(lambda: len(ended_at_calls) > 2, during=0.1)
    assert [ending.claim for ending in ended] == claims
    assert not loop._tasks


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
