"""Rescue for the jobs of the dead: each process pruned once, each job ended once, and nobody who lives is touched."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.models import Kind
from flask_queue.supervisors.maintenance import Maintenance, exit_in_words
from tests.flask_queue.operations.by_hand import WorkerByHand, register, set_heartbeat, supervisor
from tests.flask_queue.operations.declared import limited, plain
from tests.flask_queue.operations.interleaving import Aside, at_once
from tests.flask_queue.operations.plans import statements_of
from tests.harness.tables import Tables


@pytest.fixture
def facts(queue: FlaskQueue) -> list[tuple[str, dict[str, Any]]]:
    """The events from now on."""
    found: list[tuple[str, dict[str, Any]]] = []
    queue.events.subscribe(lambda name, payload: found.append((name, payload)))
    return found


@pytest.mark.behaviour("I2", "L4")
def test_the_silent_are_pruned_and_their_jobs_fail(
    app: Flask, queue: FlaskQueue, tables: Tables, facts: list[tuple[str, dict[str, Any]]]
) -> None:
    job = plain(queue)
    handles = [job.enqueue() for _ in range(3)]
    workers = [WorkerByHand(queue) for _ in range(3)]
    for worker in workers:
        worker.claim_one()
    for worker in workers[:2]:
        worker.fall_silent(400)
    facts.clear()
    supervisor(queue).run_if_due()
    assert [handle.status for handle in handles] == ["failed", "failed", "claimed"]
    assert [row.id for row in tables.processes("Worker")] == [workers[2].id]
    for handle, worker in zip(handles[:2], workers, strict=False):
        assert handle.error is not None
        assert handle.error.error_class == "ProcessPrunedError"
        when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
        message = rf"Process was found dead and pruned \(last heartbeat at: {when}\)\."
        assert re.fullmatch(message, handle.error.message)
        assert handle.error.process_name == worker.name
    assert facts == [
        ("prune_processes", {"size": 2, "process_ids": [worker.id for worker in workers[:2]]}),
        (
            "fail_many_claimed",
            {"process_ids": [worker.id for worker in workers[:2]], "job_ids": [handle.id for handle in handles[:2]]},
        ),
    ]


@pytest.mark.behaviour("I2")
def test_a_dead_supervisor_is_pruned_with_its_children(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    boss = register(queue, Kind.SUPERVISOR, "boss")
    children = [register(queue, kind, kind, supervisor_id=boss) for kind in (Kind.WORKER, Kind.DISPATCHER, Kind.SCHEDULER)]
    for process_id in (boss, *children):
        set_heartbeat(queue.database, process_id, 400)
    survivor = supervisor(queue)
    survivor.run_if_due()
    assert [row.id for row in tables.processes()] == [survivor._own_id]


@pytest.mark.behaviour("I4")
def test_a_supervisor_never_prunes_itself(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    own = register(queue, Kind.SUPERVISOR, "own")
    set_heartbeat(queue.database, own, 5000)
    Maintenance(queue.runtime(), own).run_if_due()
    assert [row.id for row in tables.processes()] == [own]


@pytest.mark.behaviour("I3")
def test_two_supervisors_at_once_prune_each_process_and_fail_each_job_once(
    app: Flask, queue: FlaskQueue, tables: Tables, facts: list[tuple[str, dict[str, Any]]]
) -> None:
    job = plain(queue)
    handles = [job.enqueue() for _ in range(20)]
    for _ in range(10):
        worker = WorkerByHand(queue)
        worker.claim(2)
        worker.fall_silent()
    one, two = supervisor(queue), supervisor(queue)
    at_once(app, one.run_if_due, two.run_if_due)
    assert tables.states() == {"failed": 20}
    assert [len(handle.errors) for handle in handles] == [1] * 20
    assert not tables.processes("Worker")
    assert sum(payload["size"] for name, payload in facts if name == "prune_processes") == 10
    assert sum(len(payload["job_ids"]) for name, payload in facts if name == "fail_many_claimed") == 20


@pytest.mark.behaviour("I3", "F13")
@pytest.mark.databases("postgresql", "mariadb")
def test_the_keys_of_all_that_are_pruned_are_locked_together(app: Flask, queue: FlaskQueue) -> None:
    """Dead process by dead process they would be locked in no order, and two who do that may wait for each other."""
    job = limited(queue)
    for key in "ba":
        job.enqueue(key)
        dead = WorkerByHand(queue)
        dead.claim_one()
        dead.fall_silent()
    with statements_of(queue.database) as statements:
        supervisor(queue).run_if_due()
    texts = [f"{text} {parameters}" for text, parameters in statements]
    [locks] = [text for text in texts if "pg_advisory_xact_lock" in text or "INSERT INTO queue_concurrency_keys" in text]
    assert locks.index("limited/a") < locks.index("limited/b")


@pytest.mark.behaviour("I2")
def test_more_dead_than_one_transaction_takes_are_all_pruned(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    for number in range(53):
        set_heartbeat(queue.database, register(queue, Kind.WORKER, f"dead{number}"), 400)
    supervisor(queue).run_if_due()
    assert not tables.processes("Worker")


@pytest.mark.behaviour("K2", "I2")
def test_it_looks_once_in_every_threshold(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """Not only when it starts: an orphan that appears later is found too."""
    maintenance = supervisor(queue)
    maintenance.run_if_due()
    job = plain(queue)
    handle = job.enqueue()
    worker = WorkerByHand(queue)
    worker.claim_one()
    worker.vanish()
    maintenance.run_if_due()
    assert handle.status == "claimed", "not yet"
    maintenance._done_at -= queue.settings.alive_threshold
    maintenance.run_if_due()
    assert handle.status == "failed"


@pytest.mark.behaviour("J1", "F13")
@pytest.mark.parametrize(
    ("status", "words"),
    [(9, "was killed by signal 9 (SIGKILL)"), (1 << 8, "exited with status 1"), (0, "exited with status 0")],
)
def test_the_jobs_of_a_child_that_died_say_how(app: Flask, queue: FlaskQueue, tables: Tables, status: int, words: str) -> None:
    maintenance = supervisor(queue)
    job = limited(queue)
    first, second = job.enqueue("a"), job.enqueue("a")
    neighbour = plain(queue).enqueue()
    child, other = WorkerByHand(queue), WorkerByHand(queue)
    child.claim_one()
    other.claim_one()
    with queue.database.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE queue_processes SET supervisor_id = {maintenance._own_id}, pid = 4711 WHERE id = {child.id}"
        )
    maintenance.bury_child(4712, "here", status)
    maintenance.bury_child(4711, "elsewhere", status)
    assert first.status == "claimed"
    maintenance.bury_child(4711, "here", status)
    assert (first.status, second.status, neighbour.status) == ("failed", "ready", "claimed")
    assert first.error is not None
    assert (first.error.error_class, first.error.message) == (
        "ProcessExitError",
        f"The process that was running this job {words}.",
    )
    maintenance.bury_child(4711, "here", status)
    assert len(first.errors) == 1


@pytest.mark.behaviour("K5", "I11", "L4")
def test_what_children_hold_that_we_ended_ourselves_goes_back(
    app: Flask, queue: FlaskQueue, tables: Tables, facts: list[tuple[str, dict[str, Any]]]
) -> None:
    maintenance = supervisor(queue)
    job = plain(queue)
    handles = [job.enqueue() for _ in range(4)]
    child, stranger = WorkerByHand(queue), WorkerByHand(queue)
    child.claim(3)
    stranger.claim_one()
    with queue.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE queue_processes SET supervisor_id = {maintenance._own_id} WHERE id = {child.id}")
    facts.clear()
    has_run = {handles[2].id or 0}
    maintenance.release_children(but=has_run)
    assert [handle.status for handle in handles] == ["ready", "ready", "claimed", "claimed"]
    assert [handle.errors for handle in handles] == [[], [], [], []]
    assert [row.id for row in tables.processes("Worker")] == [stranger.id]
    assert facts == [("release_many_claimed", {"job_ids": [handle.id for handle in handles[:2]], "size": 2})]
    maintenance.release_children(but=has_run)


@pytest.mark.behaviour("K3")
def test_a_prune_passes_over_who_is_just_beating(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    from flask_queue.operations import registration

    worker = WorkerByHand(queue)
    worker.fall_silent()
    with queue.database.begin() as connection:
        assert registration.heartbeat(connection, worker.id)
        prune = Aside(app, supervisor_of(queue).run_if_due) if connection.dialect.name != "sqlite" else None
        if prune is not None:
            prune.result()
    if prune is None:
        supervisor_of(queue).run_if_due()
    assert [row.id for row in tables.processes("Worker")] == [worker.id]


def supervisor_of(queue: FlaskQueue) -> Maintenance:
    """Without a row of its own: SQLite has its only writer at work."""
    return Maintenance(queue.runtime(), 0)


@pytest.mark.databases("sqlite")
def test_ends_are_worded_for_people() -> None:
    assert exit_in_words(signal.SIGSEGV) == "was killed by signal 11 (SIGSEGV)"
    assert exit_in_words(signal.SIGRTMIN + 3) == f"was killed by signal {signal.SIGRTMIN + 3}"
    assert exit_in_words(os.EX_SOFTWARE << 8) == "exited with status 70"
