"""Coroutine jobs on the event loop of a worker."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager

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


@pytest.mark.databases("sqlite")
def test_the_loop_ends_with_its_worker(make_app: Callable[..., Flask], queue: FlaskQueue) -> None:
    """Where processes are threads, another worker takes the place of one that ended, and has a loop of its own."""
    started = threading.Event()

    @queue.job
    async def job() -> None:
        asyncio.get_running_loop().create_task(asyncio.sleep(60))
        started.set()
        await asyncio.sleep(60)

    with make_app(QUEUE_SHUTDOWN_TIMEOUT=0.2).app_context():
        job.enqueue()
        with worker(queue) as one:
            assert started.wait(10)
        eventually(lambda: one.name not in {thread.name.removesuffix("-loop") for thread in threading.enumerate()})
        assert one._loop._loop is not None
        assert one._loop._loop.is_closed()


async def cancel_itself() -> None:
    current_task().cancel()
    await asyncio.sleep(60)


async def cancel_itself_and_end() -> None:
    current_task().cancel()


async def be_cancelled_by_a_helper() -> None:
    """As by one that watches whether the other side hangs up."""
    asyncio.get_running_loop().call_soon(current_task().cancel, "hung up")
    await asyncio.sleep(60)


def current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


@contextmanager
def drained(queue: FlaskQueue) -> Iterator[None]:
    queue.work()
    yield


@pytest.mark.behaviour("D3")
@pytest.mark.parametrize("running", [worker, drained])
@pytest.mark.parametrize("way", [cancel_itself, cancel_itself_and_end, be_cancelled_by_a_helper])
def test_a_job_that_cancels_its_own_task_ends_like_any_other(
    app: Flask,
    queue: FlaskQueue,
    running: Callable[[FlaskQueue], AbstractContextManager[object]],
    way: Callable[[], Coroutine[object, object, None]],
) -> None:
    handle = queue.job(way, name="job").enqueue()
    after = queue.job(asyncio.sleep, name="after").enqueue(0)
    ends_well = way is cancel_itself_and_end
    with running(queue):
        wait_for(queue, finished=1 + ends_well, failed=1 - ends_well)
    assert after.status == "finished"
    assert (handle.error.error_class if handle.error else None) == (None if ends_well else "asyncio.exceptions.CancelledError")


@pytest.mark.behaviour("D3")
@pytest.mark.databases("sqlite")
def test_a_job_that_cancels_all_tasks_ends_like_any_other(app: Flask, queue: FlaskQueue) -> None:
    """As a library does that takes the loop for its own; `work()` waits in one of them."""

    async def way() -> None:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(60)

    handle, after = queue.job(way, name="job").enqueue(), queue.job(asyncio.sleep, name="after").enqueue(0)
    assert queue.work() == 2
    assert (handle.status, after.status) == ("failed", "finished")


@pytest.mark.databases("sqlite")
def test_ctrl_c_is_no_error_of_the_coroutine_that_it_interrupts(app: Flask, queue: FlaskQueue) -> None:
    """Here by Python's own handler, as in a shell that calls `queue.work()`."""

    async def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)

    handle = queue.job(interrupted, name="job").enqueue()
    with pytest.raises(KeyboardInterrupt):
        queue.work()
    assert (handle.status, handle.errors) == ("ready", [])


@pytest.mark.databases("sqlite")
def test_jobs_wait_for_a_loop_whose_thread_could_not_be_had_at_once(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue_all([queue.job(asyncio.sleep, name="job").build(0) for _ in range(2)])
    claims = WorkerByHand(queue).claim(0, coroutines=2)
    ended: list[Ending] = []
    loop = EventLoop(Performer(queue.runtime(), lambda: False), ended.append, lambda: None, name="loop")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            loop.post(claims[:1])
    loop.post(claims[1:])
    eventually(lambda: [ending.claim for ending in ended] == claims)
