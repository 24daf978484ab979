"""`flask queue pause` and `resume`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flask_queue import FlaskQueue

from .conftest import Run


def test_a_queue_is_paused_and_resumed(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    jobs.welcome.enqueue(1)
    assert run("pause", "mail").stdout == "Paused mail.\n"
    assert queue.work() == 0
    assert run("resume", "mail").stdout == "Resumed mail.\n"
    assert queue.work() == 1


def test_several_queues_at_once_and_twice(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    assert run("pause", "mail", "default").exit_code == 0
    assert run("pause", "mail").exit_code == 0
    assert [one.name for one in queue.queues.overview() if one.paused] == ["default", "mail"]


def test_an_empty_queue_that_a_job_names_can_be_paused(run: Run, jobs: SimpleNamespace) -> None:
    assert run("pause", "mail").exit_code == 0


@pytest.mark.behaviour("N6")
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_unknown_queue_is_refused_and_nothing_is_changed(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, command: str
) -> None:
    queue.queues["default"].pause()
    before = queue.queues.overview()
    result = run(command, "mail", "mial", "default")
    assert result.exit_code == 1
    assert result.stderr == "Error: There is no queue 'mial'. Did you mean 'mail'?\n"
    assert queue.queues.overview() == before
