"""A supervisor that cannot start a child: no memory, no more processes, threads or files for this user."""

from __future__ import annotations

import errno
import gc
import logging
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from flask_queue import FlaskQueue
from flask_queue.config import DispatcherOptions, WorkerOptions
from flask_queue.models import Kind
from flask_queue.processes.dispatcher import Dispatcher
from flask_queue.processes.registered import Process
from flask_queue.processes.runtime import Runtime
from flask_queue.processes.worker import Worker
from flask_queue.supervisors.fork import ForkSupervisor
from flask_queue.supervisors.pidfile import Pidfile
from flask_queue.supervisors.roles import Role
from flask_queue.supervisors.supervisor import Supervisor
from flask_queue.supervisors.thread import ThreadSupervisor

pytestmark = [pytest.mark.behaviour("J8"), pytest.mark.databases("sqlite")]


@pytest.fixture
def errors(queue: FlaskQueue) -> list[str]:
    """What is reported."""
    found: list[str] = []
    queue.on_thread_error(lambda error: found.append(str(error)))
    return found


def supervisor(queue: FlaskQueue, kind: type[Supervisor], build: Callable[[Runtime], Process]) -> Supervisor:
    """One with two roles to fill."""
    return kind(queue.runtime(), queue.configuration(), [Role(Kind.WORKER, build), Role(Kind.WORKER, build)], Pidfile(None))


def try_three_times(one: Supervisor) -> list[int]:
    """Let it try to fill its roles; how many files were open after each time."""
    open_files = []
    for _ in range(3):
        one.vacant.update(dict.fromkeys(one.roles, 0.0))
        one.fill_vacancies()
        one.watch()
        assert set(one.vacant) == set(one.roles)
        open_files.append(len(list(Path("/proc/self/fd").iterdir())))
    return open_files


def refuse(*args: object) -> Any:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("name", ["fork", "pipe"])
def test_a_role_that_could_not_be_filled_is_tried_again(
    app: Flask, queue: FlaskQueue, errors: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made: list[Process] = []

    def build(runtime: Runtime) -> Process:
        made.append(Dispatcher(runtime, DispatcherOptions()))
        return made[-1]

    one = supervisor(queue, ForkSupervisor, build)
    monkeypatch.setattr(os, name, refuse)
    assert len(set(try_three_times(one))) == 1
    assert errors == ["[Errno 24] Too many open files"] * 6
    assert len(made) == 6, "before the fork, so that what they consist of is shared"


@pytest.mark.parametrize("kind", [ForkSupervisor, ThreadSupervisor])
def test_so_is_one_whose_process_cannot_be_made(
    app: Flask, queue: FlaskQueue, errors: list[str], kind: type[Supervisor]
) -> None:
    try_three_times(supervisor(queue, kind, refuse))
    assert errors == ["[Errno 24] Too many open files"] * 6


def test_so_is_one_whose_thread_cannot_be_started(
    app: Flask, queue: FlaskQueue, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot_start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", cannot_start)
    try_three_times(supervisor(queue, ThreadSupervisor, lambda runtime: Dispatcher(runtime, DispatcherOptions())))
    assert errors == ["can't start new thread"] * 6


def test_what_could_not_be_started_leaves_nothing_behind(
    app: Flask, queue: FlaskQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is garbage that only the collector finds. What was there at the first fork it never looks at again."""
    made: list[weakref.ref[Process]] = []

    def build(runtime: Runtime) -> Process:
        process = Worker(runtime, WorkerOptions())
        made.append(weakref.ref(process))
        return process

    caplog.set_level(logging.CRITICAL, "flask_queue")  # records keep errors, and these keep the frames that they went through
    one = supervisor(queue, ForkSupervisor, build)
    monkeypatch.setattr(os, "fork", refuse)
    try:
        try_three_times(one)
        gc.collect()
        assert [process() is None for process in made] == [False] * len(one.roles) + [True] * 4
    finally:
        gc.unfreeze()  # it holds for all of this process


@pytest.mark.behaviour("J10")
def test_a_child_is_told_of_connections_that_were_opened_a_moment_ago(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the handler of an error that forking another one met, for example."""
    one = supervisor(queue, ForkSupervisor, lambda runtime: Dispatcher(runtime, DispatcherOptions()))
    engine = queue.database.bind_engine
    told: list[list[Engine]] = []

    def fork() -> int:
        told.append([])
        return 0

    def opened_late() -> None:
        ForkSupervisor.prepare_children(one)
        engine.connect().close()

    monkeypatch.setattr(one, "prepare_children", opened_late)
    monkeypatch.setattr(one, "_be_child", lambda process, used, out: told[-1].extend(used))
    monkeypatch.setattr(os, "fork", fork)
    one.fill_vacancies()
    assert told == [[engine], [engine]]
