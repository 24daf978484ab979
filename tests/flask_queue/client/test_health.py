"""Whether the queue does its work, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.models import Kind
from tests.flask_queue.operations.by_hand import ago, change, register, set_heartbeat
from tests.flask_queue.operations.declared import plain


@pytest.fixture
def processes(app: Flask, queue: FlaskQueue) -> dict[str, int]:
    """One live process of each kind but the scheduler."""
    return {kind: register(queue, kind, kind) for kind in (Kind.SUPERVISOR, Kind.WORKER, Kind.DISPATCHER)}


def test_without_processes_nothing_works(app: Flask, queue: FlaskQueue) -> None:
    assert queue.health() == ["No process of the queue is running: start `flask queue start`."]


def test_all_is_well(processes: dict[str, int], queue: FlaskQueue) -> None:
    plain(queue).enqueue()
    assert queue.health() == []


@pytest.mark.parametrize("kind", [Kind.WORKER, Kind.DISPATCHER])
def test_a_kind_of_process_is_missing_when_its_only_one_is_silent(
    processes: dict[str, int], queue: FlaskQueue, kind: Kind
) -> None:
    set_heartbeat(queue.database, processes[kind], 1000)
    assert queue.health() == [f"No {kind.lower()} is running."]


def test_recurring_tasks_need_a_scheduler(processes: dict[str, int], queue: FlaskQueue) -> None:
    plain(queue)
    queue.schedule_recurring_task("task", job="job", schedule="every hour")
    [problem] = queue.health()
    assert "No scheduler is running" in problem
    register(queue, Kind.SCHEDULER, "scheduler")
    assert queue.health() == []


def test_a_queue_that_is_late_is_a_problem_unless_it_is_paused(processes: dict[str, int], queue: FlaskQueue) -> None:
    handle = plain(queue).using(queue="mail").enqueue()
    change(queue, handle.id, scheduled_at=ago(1000))
    [problem] = queue.health()
    assert problem.startswith("The oldest of 1 ready jobs in queue 'mail' has been waiting for 10")
    queue.queues["mail"].pause()
    assert queue.health() == []


@pytest.mark.databases("sqlite")
def test_other_extensions_have_their_say(processes: dict[str, int], queue: FlaskQueue) -> None:
    def broken() -> Iterable[str]:
        raise ValueError("no idea")

    queue.health_check("fine", lambda: [])
    queue.health_check("replication", lambda: ["The replica is old."])
    queue.health_check("broken", broken)
    assert queue.health() == ["The replica is old.", "The check of broken raised ValueError: no idea"]
    queue.overview_note("Replication", lambda: [("state", "old", False)], url="/backups")
    [note] = queue.overview_notes()
    assert (note.label, list(note.lines()), note.url) == ("Replication", [("state", "old", False)], "/backups")


@pytest.mark.databases("sqlite")
def test_a_database_that_does_not_answer_is_a_problem_and_no_error(
    empty_database_url: str, make_app: Callable[..., Flask], queue: FlaskQueue
) -> None:
    with make_app(SQLALCHEMY_BINDS={"queue": empty_database_url}).app_context():
        [problem] = queue.health()
    assert problem.startswith("The queue's database does not answer")
