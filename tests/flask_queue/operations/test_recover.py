"""The jobs of processes that died or gave them back: each ends once, as its `on_crash` says, and its slot goes on."""

from __future__ import annotations

from typing import Literal

import pytest
from flask import Flask
from sqlalchemy import null

from flask_queue import FlaskQueue, Retry
from flask_queue.operations.failure import Failure
from flask_queue.operations.finish import finishing
from flask_queue.operations.recover import MAX_CRASHES, fail_claims, fail_orphans, fail_unknown, release
from flask_queue.operations.registration import deregister
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, ago, change, supervisor
from .declared import forget, limited, plain
from .interleaving import Aside, at_once

GONE = Failure.of(RuntimeError("gone"))


@pytest.mark.behaviour("F11", "E10")
def test_what_is_given_back_is_ready_with_its_slot_and_no_attempt_counted(
    app: Flask, queue: FlaskQueue, tables: Tables
) -> None:
    job = limited(queue)
    first, second = job.enqueue("a"), job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.claim_one()
    assert worker.release() == [first.id]
    row = tables.job(first.id)
    assert (row.state, row.process_id, row.claimed_at, row.attempts, row.crashes) == ("ready", None, None, 0, 0)
    assert row.expires_at is not None
    assert second.status == "blocked"
    assert not tables.attempts(first.id)


@pytest.mark.behaviour("K3")
def test_a_release_that_loses_to_a_prune_makes_nothing_ready(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.claim_one()
    with queue.database.begin() as connection:
        fail_claims(connection, worker.id, GONE, queue.definitions)
        late = Aside(app, worker.release)
        late.is_held_up()
    assert late.result() == []
    assert handle.status == "failed"


@pytest.mark.behaviour("K3")
def test_a_prune_that_loses_to_an_ending_fails_nothing(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    with queue.database.begin() as connection:
        finishing([claim], preserve=True).take(connection)
        late = Aside(
            app, lambda: queue.database.transact(lambda other: fail_claims(other, worker.id, GONE, queue.definitions).job_ids)
        )
        late.is_held_up()
    assert late.result() == ()
    assert handle.status == "finished"
    assert not handle.errors


@pytest.mark.behaviour("K3", "I3")
def test_an_ending_and_a_prune_at_once_have_one_winner(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    for _ in range(10):
        handle = job.enqueue()
        worker = WorkerByHand(queue)
        claim = worker.claim_one()
        worker.fall_silent()
        prune = supervisor(queue).run_if_due
        at_once(app, prune, lambda claim=claim, worker=worker: worker.finish(claim))  # type: ignore[misc]
        supervisor(queue).run_if_due()  # who held the row when the other looked is done now
        assert (handle.status, len(handle.errors)) in [("finished", 0), ("failed", 1)]
    assert {row.kind for row in tables.processes()} == {"Supervisor"}


@pytest.mark.behaviour("F13")
def test_the_jobs_of_the_dead_free_their_slots(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=3)
    for _ in range(4):
        job.enqueue("a")
    worker = WorkerByHand(queue)
    assert len(worker.claim(4)) == 3
    worker.vanish()
    supervisor(queue).run_if_due()
    assert tables.states() == {"failed": 3, "ready": 1}


@pytest.mark.behaviour("K1")
def test_orphans_fail(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.enqueue() for _ in range(4)]
    dead, alive = WorkerByHand(queue), WorkerByHand(queue)
    dead.claim(3)
    alive.claim(1)
    dead.vanish()
    supervisor(queue).run_if_due()
    assert tables.states() == {"failed": 3, "claimed": 1}
    for handle in handles[:3]:
        assert handle.error is not None
        assert handle.error.error_class == "ProcessMissingError"
        assert handle.error.message == "The process that was running this job no longer exists."


@pytest.mark.behaviour("K1", "I1")
def test_a_claim_of_nobody_is_an_orphan_too(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).enqueue()
    WorkerByHand(queue).claim_one()
    change(queue, handle.id, process_id=null())
    supervisor(queue).run_if_due()
    assert handle.status == "failed"


@pytest.mark.behaviour("K2")
def test_a_claim_that_is_committed_while_its_owner_is_removed_is_found(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """The pruner cannot see the claim, the claimer cannot see that its registration goes; the next look finds the orphan."""
    from flask_queue.operations.claim import claim
    from flask_queue.operations.selectors import Selector

    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.fall_silent()
    maintenance = supervisor(queue)
    with queue.database.begin() as connection:
        assert claim(connection, Selector.parse(["*"]), limit=1, process_id=worker.id)
        prune = Aside(app, maintenance.run_if_due)
        prune.is_held_up()
    prune.result()
    maintenance._done_at = float("-inf")  # a threshold later
    maintenance.run_if_due()
    assert handle.status == "failed"
    assert worker.id not in {row.id for row in tables.processes()}


@pytest.mark.behaviour("I2")
@pytest.mark.parametrize(
    ("on_crash", "state", "attempts"), [("fail", "failed", 1), ("retry", "ready", 1), ("discard", "finished", 1)]
)
def test_a_crash_ends_a_job_as_its_definition_says(
    app: Flask,
    queue: FlaskQueue,
    tables: Tables,
    on_crash: Literal["fail", "retry", "discard"],
    state: str,
    attempts: int,
) -> None:
    handle = plain(queue, on_crash=on_crash).enqueue()
    worker = WorkerByHand(queue)
    worker.claim_one()
    worker.vanish()
    supervisor(queue).run_if_due()
    row = tables.job(handle.id)
    assert (row.state, row.process_id, row.attempts, row.crashes) == (state, None, attempts, 1)
    [attempt] = tables.attempts(handle.id)
    assert (attempt.number, attempt.process_id, attempt.error_class) == (1, worker.id, "ProcessMissingError")


@pytest.mark.behaviour("E10")
def test_a_crash_is_no_error_that_a_retry_rule_is_for(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue, retry=Retry(attempts=5, on=(BaseException,), wait=0)).enqueue()
    worker = WorkerByHand(queue)
    worker.claim_one()
    worker.vanish()
    supervisor(queue).run_if_due()
    assert handle.status == "failed"


def test_retries_after_crashes_have_an_end(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue, on_crash="retry").enqueue()
    statuses = []
    for _ in range(MAX_CRASHES):
        worker = WorkerByHand(queue)
        worker.claim_one()
        worker.vanish()
        supervisor(queue).run_if_due()
        statuses.append(handle.status)
    assert MAX_CRASHES == 3
    assert statuses == ["ready", "ready", "failed"]
    assert handle.retry().status == "ready", "by hand it begins anew"
    assert tables.job(handle.id).crashes == 0


def test_a_job_that_is_retried_after_a_crash_keeps_its_slot(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue, options={"on_crash": "retry"})
    first, second = job.enqueue("a"), job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.claim_one()
    worker.vanish()
    supervisor(queue).run_if_due()
    assert (first.status, second.status) == ("ready", "blocked")


@pytest.mark.behaviour("D4")
def test_a_crashed_job_without_a_definition_fails(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue, on_crash="retry").enqueue()
    worker = WorkerByHand(queue)
    worker.claim_one()
    forget(queue, "job")
    worker.vanish()
    supervisor(queue).run_if_due()
    assert handle.status == "failed"


@pytest.mark.behaviour("K2")
def test_a_claim_whose_answer_was_lost_fails_after_a_while(app: Flask, queue: FlaskQueue) -> None:
    """Its worker lives, and does not know of it."""
    job = plain(queue)
    lost, known, fresh = (job.enqueue() for _ in range(3))
    worker = WorkerByHand(queue)
    worker.claim(3)
    for handle in (lost, known):
        change(queue, handle.id, claimed_at=ago(100))

    def look() -> tuple[int, ...]:
        return queue.database.transact(
            lambda connection: (
                fail_unknown(connection, worker.id, [known.id or 0], GONE, queue.definitions, older_than=60).job_ids
            )
        )

    assert look() == (lost.id,)
    assert look() == ()
    assert [handle.status for handle in (lost, known, fresh)] == ["failed", "claimed", "claimed"]


@pytest.mark.behaviour("K4")
def test_jobs_that_have_run_are_not_given_back(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    ran, waiting = job.enqueue(), job.enqueue()
    worker = WorkerByHand(queue)
    worker.claim(2)
    released = queue.database.transact(lambda connection: release(connection, worker.id, but=[ran.id or 0]))
    assert released == [waiting.id]
    worker.vanish()
    supervisor(queue).run_if_due()
    assert (ran.status, waiting.status) == ("failed", "ready")


@pytest.mark.behaviour("I3")
def test_two_that_look_for_orphans_fail_each_once(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.enqueue() for _ in range(12)]
    worker = WorkerByHand(queue)
    worker.claim(12)
    queue.database.transact(lambda connection: deregister(connection, worker.id))

    def look() -> int:
        return len(queue.database.transact(lambda connection: fail_orphans(connection, GONE, queue.definitions)).job_ids)

    assert sum(at_once(app, look, look)) == 12
    assert [len(handle.errors) for handle in handles] == [1] * 12
