"""From scheduled to wherever the concurrency rules let a job go, once, whoever dispatches."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Connection, event

from flask_queue import FlaskQueue
from flask_queue.operations.dispatch import dispatch
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, ago, change
from .declared import forget, limited, plain
from .interleaving import Aside, at_once, times


def dispatch_once(queue: FlaskQueue, batch_size: int = 500) -> int:
    return queue.database.transact(lambda connection: dispatch(connection, queue.definitions, batch_size=batch_size))


def make_due(queue: FlaskQueue, *job_ids: int | None, seconds: float = 1) -> None:
    for job_id in job_ids:
        change(queue, job_id, scheduled_at=ago(seconds))


@pytest.mark.behaviour("B2")
def test_a_job_is_dispatched_when_it_is_due_and_not_before(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    tomorrow, later = job.using(wait=86_400).enqueue(1), job.using(wait=3 * 86_400).enqueue(2)
    assert dispatch_once(queue) == 0
    make_due(queue, tomorrow.id)
    assert dispatch_once(queue) == 1
    assert (tomorrow.status, later.status) == ("ready", "scheduled")
    assert queue.work() == 1
    make_due(queue, later.id)
    assert queue.work() == 1
    assert tables.states() == {"finished": 2}


@pytest.mark.behaviour("B13")
def test_nothing_due_is_0(app: Flask, queue: FlaskQueue) -> None:
    assert dispatch_once(queue) == 0
    plain(queue).using(wait=60).enqueue()
    assert dispatch_once(queue) == 0


@pytest.mark.behaviour("B6")
def test_a_batch_takes_what_was_due_first(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.using(wait=60, priority=priority).enqueue() for priority in (0, 5, 0, -1)]
    make_due(queue, handles[0].id, seconds=1)
    make_due(queue, handles[1].id, seconds=9)
    with queue.database.begin() as connection:  # two at the same instant
        connection.exec_driver_sql(
            f"UPDATE queue_jobs SET scheduled_at = (SELECT s FROM (SELECT scheduled_at AS s FROM queue_jobs WHERE id = {handles[1].id}) AS x)"  # noqa: E501
            f" WHERE id IN ({handles[2].id}, {handles[3].id})"
        )
    order = []
    while dispatch_once(queue, batch_size=1):
        order += [row.id for row in tables.jobs(state="ready") if row.id not in order]
    assert order == [handles[3].id, handles[2].id, handles[1].id, handles[0].id]


@pytest.mark.behaviour("B3")
def test_two_dispatchers_share_the_due_jobs(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    make_due(queue, *(job.using(wait=60).enqueue().id for _ in range(15)))
    moved = at_once(app, *times(2, lambda: _until_empty(queue, 10)))
    assert sum(moved) == 15
    assert tables.states() == {"ready": 15}


def _until_empty(queue: FlaskQueue, batch_size: int) -> int:
    moved = 0
    while size := dispatch_once(queue, batch_size):
        moved += size
    return moved


@pytest.mark.behaviour("B3", "B5")
def test_what_a_dispatcher_is_moving_another_one_leaves_alone(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.using(wait=60).enqueue() for _ in range(4)]
    make_due(queue, *(handle.id for handle in handles))
    with queue.database.begin() as connection:
        assert dispatch(connection, queue.definitions, batch_size=2) == 2
        other = Aside(app, lambda: dispatch_once(queue, 4))
        other.is_held_up()  # on SQLite
    assert other.result() == 2
    assert tables.states() == {"ready": 4}


@pytest.mark.behaviour("B6")
def test_many_dispatchers_on_one_second_meet_no_deadlock(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job, narrow = plain(queue), limited(queue)
    queue.enqueue_all([job.using(wait=60).build(n) for n in range(200)])
    queue.enqueue_all([narrow.using(wait=60).build(n % 10) for n in range(100)])
    with queue.database.begin() as connection:
        connection.exec_driver_sql("UPDATE queue_jobs SET scheduled_at = created_at")
    failures: list[object] = []
    for engine in (queue.database.engine,):
        event.listen(engine, "handle_error", lambda context: failures.append(context.original_exception))
    moved = at_once(app, *times(3, lambda: _until_empty(queue, 20)))
    assert sum(moved) == 300
    assert tables.states() == {"ready": 210, "blocked": 90}
    assert not [failure for failure in failures if "deadlock" in str(failure).lower()]


@pytest.mark.behaviour("B5")
def test_a_dispatch_that_fails_moves_nothing(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    make_due(queue, *(job.using(wait=60).enqueue().id for _ in range(3)))

    def work(connection: Connection) -> None:
        dispatch(connection, queue.definitions, batch_size=2)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        queue.database.transact(work)
    assert tables.states() == {"scheduled": 3}
    assert dispatch_once(queue) == 3


@pytest.mark.behaviour("B9")
def test_a_concurrency_rule_is_asked_when_the_job_is_due(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    blocking, discarding = limited(queue, "blocking"), limited(queue, "discarding", on_conflict="discard")
    for job in (blocking, discarding):
        job.enqueue("a")
    later = [job.using(wait=300).enqueue("a") for job in (blocking, discarding)]
    assert [handle.status for handle in later] == ["scheduled", "scheduled"], "nothing was decided before its time"
    make_due(queue, *(handle.id for handle in later))
    dispatch_once(queue)
    assert [handle.status for handle in later] == ["blocked", None]
    assert tables.states() == {"ready": 2, "blocked": 1}


@pytest.mark.behaviour("B9")
def test_a_free_slot_is_taken_when_the_job_is_due(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=2)
    handles = [job.using(wait=300).enqueue("a") for _ in range(3)]
    assert tables.states() == {"scheduled": 3}
    make_due(queue, *(handle.id for handle in handles))
    assert dispatch_once(queue) == 3
    assert tables.states() == {"ready": 2, "blocked": 1}
    assert job.enqueue("a").status != "ready"


@pytest.mark.behaviour("B10")
def test_a_job_whose_definition_is_gone_holds_nobody_up(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job, removed = plain(queue), limited(queue, "removed")
    handles = [job.using(wait=60).enqueue(), removed.using(wait=60).enqueue("a"), removed.using(wait=60).enqueue("a")]
    handles.append(job.using(wait=60).enqueue())
    forget(queue, "removed")
    make_due(queue, *(handle.id for handle in handles))
    assert dispatch_once(queue) == 4
    assert [handle.status for handle in handles] == ["ready", "ready", "blocked", "ready"]
    assert queue.work() == 4
    assert [handle.status for handle in handles] == ["finished", "failed", "failed", "finished"]


@pytest.mark.behaviour("F7", "B9")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_dispatcher_that_blocks_a_job_is_waited_for_by_the_end_of_its_holder(
    app: Flask, queue: FlaskQueue, tables: Tables
) -> None:
    job = limited(queue)
    job.enqueue("a")
    worker = WorkerByHand(queue)
    holder = worker.claim_one()
    later = job.using(wait=60).enqueue("a")
    make_due(queue, later.id)
    with queue.database.begin() as connection:
        assert dispatch(connection, queue.definitions, batch_size=5) == 1
        ending = Aside(app, lambda: worker.finish(holder))
        assert ending.is_held_up()
    ending.result()
    assert tables.states() == {"finished": 1, "ready": 1}
