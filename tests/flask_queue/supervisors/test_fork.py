"""A supervisor that cannot fork: no memory, or no more processes for this user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.models import Kind
from flask_queue.supervisors.fork import ForkSupervisor
from flask_queue.supervisors.pidfile import Pidfile
from flask_queue.supervisors.roles import Role


@pytest.mark.databases("sqlite")
def test_a_role_that_could_not_be_filled_is_tried_again(app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(os, "fork", fork)
    role = Role(Kind.WORKER, build=lambda runtime: pytest.fail("nothing was forked"))
    supervisor = ForkSupervisor(queue.runtime(), queue.configuration(), [role], Pidfile(None))
    open_files = []
    for _ in range(3):
        supervisor.vacant[role] = 0.0
        with pytest.raises(OSError, match="allocate"):
            supervisor.fill_vacancies()
        assert role in supervisor.vacant
        open_files.append(len(list(Path("/proc/self/fd").iterdir())))
    assert len(set(open_files)) == 1
