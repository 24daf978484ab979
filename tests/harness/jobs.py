"""The jobs of the test application. Each writes to the ledger under the key it is given, and does what its name says."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from datetime import timedelta

from flask import current_app

from flask_queue import Concurrency, Retry, current_job

from .extensions import queue
from .ledger import Ledger


class JobFailure(Exception):
    """What the failing jobs raise."""


class NotWorthIt(Exception):
    """What discards `discarded`."""


def ledger() -> Ledger:
    return Ledger(current_app.config["LEDGER"])


def _run(key: str, seconds: float = 0) -> None:
    with ledger().running(key, current_job.id):
        time.sleep(seconds)


@queue.job(name="noop")
def noop(key: str) -> None:
    _run(key)


@queue.job(name="slow")
def slow(key: str, seconds: float) -> None:
    _run(key, seconds)


@queue.job(name="failing")
def failing(key: str, message: str = "on purpose") -> None:
    _run(key)
    raise JobFailure(message)


@queue.job(name="failing_once", retry=Retry(attempts=3, on=(JobFailure,), wait=0.1))
def failing_once(key: str) -> None:
    _run(key)
    if current_job.attempt == 1:
        raise JobFailure("the first time")


@queue.job(name="failing_always", retry=Retry(attempts=3, on=(JobFailure,), wait=0.1))
def failing_always(key: str) -> None:
    _run(key)
    raise JobFailure("every time")


@queue.job(name="discarded", discard_on=(NotWorthIt,))
def discarded(key: str) -> None:
    _run(key)
    raise NotWorthIt


@queue.job(name="exiting")
def exiting(key: str, status: int = 1) -> None:
    """Take the whole process along, as a crash in a C library would."""
    ledger().write(key, "start", current_job.id)
    os._exit(status)


@queue.job(name="hanging")
def hanging(key: str, seconds: int = 60) -> None:
    """Hang in C without letting go of the interpreter: nothing else of the process runs, its heartbeat neither."""
    ledger().write(key, "start", current_job.id)
    ctypes.PyDLL(None).sleep(seconds)


@queue.job(name="crashing_but_retried", on_crash="retry")
def crashing_but_retried(key: str) -> None:
    ledger().write(key, "start", current_job.id)
    os._exit(1)


@queue.job(name="limited", concurrency=Concurrency(key=lambda key, seconds=0.0: key, to=1))
def limited(key: str, seconds: float = 0.0) -> None:
    _run(key, seconds)


@queue.job(
    name="limited_to_three",
    concurrency=Concurrency(key=lambda key, seconds=0.0: key, to=3, duration=timedelta(minutes=5)),
)
def limited_to_three(key: str, seconds: float = 0.0) -> None:
    """Run until three have met, however slowly the machine starts them, and then for `seconds`: a fourth would be seen."""
    with ledger().running(key, current_job.id):
        deadline = time.monotonic() + 20
        while ledger().most_at_once(key) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(seconds)


@queue.job(name="limited_and_failing", concurrency=Concurrency(key=lambda key: key, to=1))
def limited_and_failing(key: str) -> None:
    _run(key)
    raise JobFailure("while holding the slot")


@queue.job(name="only_one", concurrency=Concurrency(key=lambda key, seconds=0.0: key, to=1, on_conflict="discard"))
def only_one(key: str, seconds: float = 0.0) -> None:
    _run(key, seconds)


@queue.job(name="until_stopping")
def until_stopping(key: str, seconds: float = 30) -> None:
    """Run until the worker is told to stop, and write down that it was heard."""
    deadline = time.monotonic() + seconds
    with ledger().running(key, current_job.id):
        while not current_job.stopping and time.monotonic() < deadline:
            time.sleep(0.02)
        ledger().write(key, "stopping" if current_job.stopping else "deadline", current_job.id)


@queue.job(name="swallowing")
def swallowing(key: str, seconds: float) -> None:
    """A body that nothing can interrupt: it catches whatever is thrown at it and goes on."""
    deadline = time.monotonic() + seconds
    with ledger().running(key, current_job.id):
        while time.monotonic() < deadline:
            try:
                time.sleep(0.05)
            except BaseException:
                continue


@queue.job(name="orphaning")
def orphaning(key: str) -> None:
    """Leave a process behind whose parent is gone, as a careless program would."""
    child = os.fork()
    if child == 0:
        if (orphan := os.fork()) == 0:
            time.sleep(0.3)
            os._exit(0)
        ledger().write(str(orphan), "orphan", None)
        os._exit(0)
    os.waitpid(child, 0)
    _run(key)


@queue.job(name="awaiting")
async def awaiting(key: str, seconds: float = 0.0) -> None:
    with ledger().running(key, current_job.id):
        await asyncio.sleep(seconds)
