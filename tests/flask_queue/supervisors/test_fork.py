"""A supervisor that cannot start a child: no memory, no more processes, threads or files for this user."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.config import DispatcherOptions
from flask_queue.models import Kind
from flask_queue.processes.dispatcher import Dispatcher
from flask_queue.processes.registered import Process
from flask_queue.processes.runtime import Runtime
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
