"""Jobs that are to be forgotten: any but those that somebody runs, with the slots that they hold."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_queue import FlaskQueue, errors
from flask_queue.client.relation import BULK_SIZE
from flask_queue.operations.claim import claim
from flask_queue.operations.selectors import Selector
from tests.harness.tables import Tables

from .by_hand import WorkerByHand
from .declared import limited, plain
from .interleaving import Aside, at_once, times


@pytest.mark.behaviour("B11")
def test_a_scheduled_job_is_discarded(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle, other = (plain(queue, name).using(wait=60).enqueue() for name in ("one", "two"))
    handle.discard()
    assert [row.id for row in tables.jobs()] == [other.id]
    assert handle.status is None


@pytest.mark.behaviour("B11")
def test_a_failed_job_goes_with_its_attempts(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.fail(worker.claim_one())
    handle.discard()
    assert not tables.jobs()
    assert not tables.attempts(handle.id)


@pytest.mark.behaviour("D13")
def test_a_running_job_cannot_be_discarded(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    WorkerByHand(queue).claim_one()
    before = tables.jobs()
    with pytest.raises(errors.InvalidTransition, match=r"in progress.*Nothing was changed"):
        handle.discard()
    with pytest.raises(errors.InvalidTransition, match="running"):
        queue.jobs.claimed.discard_all()
    assert queue.jobs.all_states.discard_all() == 0
    assert tables.jobs() == before


@pytest.mark.behaviour("D13", "C19")
def test_a_job_that_is_just_being_claimed_survives(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.enqueue() for _ in range(6)]
    worker = WorkerByHand(queue)
    with queue.database.begin() as connection:
        [claimed] = claim(connection, Selector.parse(["*"]), limit=1, process_id=worker.id)
        one = Aside(app, handles[0].discard)
        everything = Aside(app, queue.queues["default"].clear)
        one.is_held_up()
        everything.is_held_up()
    with pytest.raises(errors.InvalidTransition):
        one.result()
    assert everything.result() == 5
    assert [(row.id, row.state) for row in tables.jobs()] == [(claimed.job_id, "claimed")]
    worker.finish(claimed)
    assert handles[0].status == "finished"


@pytest.mark.behaviour("C19")
def test_a_queue_is_cleared_of_its_ready_jobs_alone(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    for _ in range(5):
        job.using(queue="mail").enqueue()
    kept = [job.enqueue(), job.using(queue="mail", wait=60).enqueue()]
    assert queue.queues["mail"].clear() == 5
    assert [row.id for row in tables.jobs()] == [handle.id for handle in kept]
    assert queue.queues["mail"].clear() == 0


@pytest.mark.behaviour("F12", "F22")
def test_a_holder_that_is_discarded_lets_the_next_one_in(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    first, second, third = (job.enqueue("a") for _ in range(3))
    first.discard()
    assert (second.status, third.status) == ("ready", "blocked")
    second.discard()
    assert third.status == "ready"
    third.discard()
    assert job.enqueue("a").status == "ready"


@pytest.mark.behaviour("F12")
def test_a_blocked_job_that_is_discarded_lets_nobody_in(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    first, second, third = (job.enqueue("a") for _ in range(3))
    second.discard()
    assert (first.status, third.status) == ("ready", "blocked")


@pytest.mark.behaviour("F22")
def test_holders_that_are_discarded_together_let_the_next_ones_in(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=2)
    for key in "abc":
        for _ in range(5):
            job.enqueue(key)
    assert queue.jobs.ready.where(name="limited").limit(4).discard_all() == 4
    assert tables.states() == {"ready": 6, "blocked": 5}
    assert queue.queues["default"].clear() == 6, "those that were ready, and not those that are let in by it"
    assert tables.states() == {"ready": 4, "blocked": 1}


@pytest.mark.behaviour("G7")
def test_many_are_discarded_in_batches(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    queue.enqueue_all([job.build(n) for n in range(BULK_SIZE + 5)])
    batches: list[int] = []
    queue.events.subscribe(lambda name, payload: batches.append(payload["size"]) if name == "discard_all" else None)
    assert queue.jobs.ready.discard_all() == BULK_SIZE + 5
    assert queue.jobs.ready.discard_all() == 0
    assert not tables.jobs()
    assert batches == [BULK_SIZE + 5, 0]


@pytest.mark.behaviour("G7")
def test_two_that_discard_at_once_discard_each_job_once(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    queue.enqueue_all([job.build(n) for n in range(60)])
    assert sum(at_once(app, *times(2, queue.jobs.ready.discard_all))) == 60
    assert not tables.jobs()
