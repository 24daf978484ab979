"""A worker that has heard of nothing for long looks seldom, until it has reason to doubt that it hears."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

import flask_queue.processes.worker
import flask_queue.wakeup
from flask_queue import FlaskQueue
from flask_queue.database import CHANNEL, Database
from flask_queue.processes.worker import Worker
from flask_queue.wakeup import Listener
from tests.flask_queue.operations.declared import plain
from tests.harness.waiting import eventually

from .running import wait_for, worker


def looks(one: Worker, *, during: float, act: Callable[[], object] = lambda: None) -> int:
    """How many statements a worker's own connections run from the time that somebody acts, which may take a while, too."""
    seen: list[str] = []
    event.listen(one.runtime.database.engine, "before_cursor_execute", lambda *call: seen.append(call[2]))
    act()
    time.sleep(during)
    return sum("queue_jobs" in text or "data_version" in text for text in seen)


@pytest.mark.behaviour("C14")
def test_who_hears_of_all_jobs_seldom_looks_when_there_have_been_none_for_long(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks often again as soon as it hears or has something to do. Others, who may miss something, never cease to."""
    monkeypatch.setattr(flask_queue.processes.worker, "QUIET_AFTER", 1.0)
    with worker(queue, polling_interval=0.02) as one:
        one._busy_at = time.monotonic()
        assert looks(one, during=0.5) > 10
        time.sleep(1.0)
        quiet = looks(one, during=1.0)
        assert quiet <= 2 if one._listener.hears_all else quiet > 20
        assert (
            looks(one, during=0.5, act=lambda: queue.client.transact(lambda connection: "news of a job of somebody else")) > 10
        )
        time.sleep(1.0)
        assert looks(one, during=0.5, act=plain(queue).enqueue) > 10
        wait_for(queue, finished=1)
    assert one._listener.hears_all is False  # it has ended


@pytest.fixture
def at_rest(queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractContextManager[Worker]]:
    """A worker that rests whenever it has nothing to do."""
    monkeypatch.setattr(flask_queue.processes.worker, "QUIET_AFTER", 0.0)
    return partial(worker, queue, polling_interval=0.02)


@pytest.mark.behaviour("C14")
@pytest.mark.databases("sqlite", "postgresql")
def test_who_finds_a_job_of_which_nobody_told_looks_often_and_listens_anew(
    app: Flask, queue: FlaskQueue, at_rest: Callable[..., AbstractContextManager[Worker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router has dropped the connection, an enqueuer is another user, the place for temporary files was emptied."""
    job = plain(queue)
    monkeypatch.setattr(flask_queue.wakeup, "CHANNEL", "of_nobody")
    with at_rest() as one:
        monkeypatch.setattr(flask_queue.wakeup, "CHANNEL", CHANNEL)
        os.unlink(one._listener._address or "")
        assert looks(one, during=1.0) <= 2
        job.enqueue()
        wait_for(queue, finished=1)
        eventually(lambda: one._unheard_at is None)
        assert looks(one, during=1.0) > 20
        one.polling_interval = 30
        time.sleep(0.1)  # until it has looked for the last time
        job.enqueue()
        wait_for(queue, finished=2, timeout=5)


@pytest.mark.behaviour("C14")
@pytest.mark.databases("postgresql")
def test_who_listens_anew_relies_on_no_connection_that_idled(app: Flask, queue: FlaskQueue) -> None:
    """To ask one that a router has dropped whether it lives takes as long as TCP hopes for an answer."""
    database = queue.database.private()
    listener = Listener(database)
    listener.open()
    idle = backends(database)
    listener.renew()
    assert listener._notifications is not None
    assert idle.isdisjoint({listener._notifications.info.backend_pid, *backends(database)})
    listener.close()
    database.dispose()


def backends(database: Database) -> set[int]:
    """The server's processes for three connections that are out at the same time."""
    with ExitStack() as out:
        connections = [out.enter_context(database.connect()) for _ in range(3)]
        return {one.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() for one in connections}


@pytest.mark.behaviour("C14")
@pytest.mark.databases("sqlite", "postgresql")
def test_who_finds_a_job_just_before_it_hears_of_it_goes_on_resting(
    app: Flask, queue: FlaskQueue, at_rest: Callable[..., AbstractContextManager[Worker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flask_queue.processes.worker, "LATE_NEWS", 1.0)
    job = plain(queue)
    announcer = queue.runtime().client.announcer
    with at_rest(threads=1) as one:
        time.sleep(0.2)
        with monkeypatch.context() as patch:
            patch.setattr(type(announcer), "announce", lambda self: None)
            patch.setattr(Listener, "drain", lambda self: False)  # NOTIFY is sent with the job
            job.enqueue()
            eventually(lambda: one._unheard_at is not None)
        announcer.announce()
        wait_for(queue, finished=1)
        eventually(lambda: one._unheard_at is None)
        assert looks(one, during=1.0) <= 2


@pytest.mark.behaviour("C14")
@pytest.mark.databases("sqlite", "postgresql")
def test_jobs_that_waited_when_it_began_are_no_reason_for_doubt(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook may load a model before the first look."""
    monkeypatch.setattr(flask_queue.processes.worker, "QUIET_AFTER", 0.3)
    queue.on_worker_start(lambda process: time.sleep(0.5))
    plain(queue).enqueue()
    with worker(queue, polling_interval=0.02) as one:
        wait_for(queue, finished=1)
        time.sleep(0.5)
        assert looks(one, during=1.0) <= 2


@pytest.mark.behaviour("C14")
@pytest.mark.databases("sqlite", "postgresql")
def test_a_claim_that_failed_is_no_reason_for_doubt(app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The news of the job was used up by it."""
    monkeypatch.setattr(flask_queue.processes.worker, "QUIET_AFTER", 0.3)
    job = plain(queue)
    with worker(queue, polling_interval=0.02) as one:
        time.sleep(0.6)
        transact, failures = one._exchange._transact, iter([OSError("the network")])

        def fail_once(*call: Any) -> Any:
            for error in failures:
                raise error
            return transact(*call)

        monkeypatch.setattr(one._exchange, "_transact", fail_once)
        job.enqueue()
        wait_for(queue, finished=1)
        assert not list(failures), "it has failed"
        time.sleep(0.2)
        assert one._doubts_until == float("-inf")


@pytest.mark.behaviour("C14")
def test_something_in_the_place_of_its_mailbox_keeps_it_from_nothing(app: Flask, queue: FlaskQueue) -> None:
    listener = Listener(queue.database)
    listener.open()
    address = Path(listener._address or "")
    address.unlink()
    address.mkdir()
    listener.close()
    address.rmdir()


@pytest.mark.behaviour("C14")
@pytest.mark.databases("postgresql")
def test_who_no_longer_hears_of_all_jobs_looks_often(app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flask_queue.processes.worker, "QUIET_AFTER", 0.0)
    with worker(queue, polling_interval=0.02) as one:
        assert looks(one, during=1.0) <= 3
        one._listener._can_listen = False
        one._listener._notifications.close()  # type: ignore[union-attr]
        eventually(lambda: not one._listener.hears_all)
        assert looks(one, during=1.0) > 20
