"""From failed back into line, by hand; and what waits, to ready at once."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from flask_queue import FlaskQueue, Retry, errors
from flask_queue.client import JobHandle
from flask_queue.models import jobs
from flask_queue.operations.dispatch import dispatch
from tests.harness.tables import Tables

from .by_hand import WorkerByHand
from .declared import limited, plain
from .interleaving import Aside, at_once, times


@pytest.fixture
def fail(app: Flask, queue: FlaskQueue) -> Callable[[int], list[JobHandle]]:
    """So many failed jobs."""
    job = plain(queue)

    def fail(count: int) -> list[JobHandle]:
        handles = [job.using(queue="failing").enqueue(n) for n in range(count)]
        worker = WorkerByHand(queue, "failing")
        worker.fail(*worker.claim(count))
        return handles

    return fail


@pytest.mark.behaviour("E4")
def test_a_failed_job_is_ready_again(fail: Callable[[int], list[JobHandle]], tables: Tables) -> None:
    handle, other = fail(2)
    before = tables.job(handle.id)
    assert handle.retry() is handle
    after = tables.job(handle.id)
    assert (handle.status, other.status) == ("ready", "failed")
    assert (after.id, after.arguments, after.queue_name, after.created_at) == (
        before.id, before.arguments, before.queue_name, before.created_at,
    )  # fmt: skip
    assert after.scheduled_at > before.scheduled_at
    assert (after.attempts, after.crashes) == (0, 0)


@pytest.mark.behaviour("E4")
def test_a_retry_by_hand_counts_anew(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    runs: list[int] = []

    @queue.job(retry=Retry(attempts=3, wait=0))
    def job() -> None:
        runs.append(1)
        raise ValueError("always")

    handle = job.enqueue()
    assert queue.work() == 3
    assert (handle.status, len(handle.errors)) == ("failed", 3)
    handle.retry()
    assert queue.work() == 3
    assert len(runs) == 6
    assert tables.states() == {"failed": 1}
    assert [attempt.number for attempt in handle.errors] == [1, 2, 3, 1, 2, 3]


@pytest.mark.behaviour("E5")
def test_all_failed_jobs_and_only_those_are_retried(
    queue: FlaskQueue, fail: Callable[[int], list[JobHandle]], tables: Tables
) -> None:
    failed = fail(5)
    job = queue.find_definition("job")
    assert job is not None
    others = [job.enqueue(n) for n in range(3)]
    assert queue.jobs.failed.retry_all() == 5
    assert {handle.status for handle in failed} == {"ready"}
    assert queue.jobs.failed.retry_all() == 0
    assert {handle.status for handle in others} == {"ready"}


@pytest.mark.behaviour("E5")
def test_two_retries_of_all_move_each_job_once(
    app: Flask, queue: FlaskQueue, fail: Callable[[int], list[JobHandle]], tables: Tables
) -> None:
    fail(40)
    moved = at_once(app, *times(2, queue.jobs.failed.retry_all))
    assert sum(moved) == 40
    assert tables.states() == {"ready": 40}


@pytest.mark.behaviour("E5")
def test_two_retries_of_one_job_move_it_once(
    app: Flask, queue: FlaskQueue, fail: Callable[[int], list[JobHandle]], tables: Tables
) -> None:
    handles = fail(8)

    def retry(handle: JobHandle) -> bool:
        try:
            handle.retry()
        except errors.InvalidTransition:
            return False
        return True

    for handle in handles:
        assert sorted(at_once(app, *times(2, lambda handle=handle: retry(handle)))) == [False, True]  # type: ignore[misc]
    assert tables.states() == {"ready": 8}


@pytest.mark.behaviour("E8")
def test_a_limited_job_is_retried_into_the_line_of_its_key(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    failed = job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.fail(worker.claim_one())
    holder = job.enqueue("a")
    failed.retry()
    assert (holder.status, failed.status) == ("ready", "blocked")
    worker.finish(worker.claim_one())
    assert failed.status == "ready"


@pytest.mark.behaviour("E8")
def test_a_retry_is_never_discarded_by_the_rule_for_new_jobs(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue, on_conflict="discard")
    failed = job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.fail(worker.claim_one())
    holder = job.enqueue("a")
    failed.retry()
    assert (holder.status, failed.status) == ("ready", "blocked")
    assert queue.work() == 2
    assert failed.status == "finished"


@pytest.mark.behaviour("E9")
def test_only_a_failed_job_can_be_retried(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job, narrow = plain(queue), limited(queue)
    handles = {
        "scheduled": job.using(wait=60).enqueue(),
        "finished": job.using(priority=-2).enqueue(),
        "claimed": job.using(priority=-1).enqueue(),
        "ready": narrow.enqueue("a"),
        "blocked": narrow.enqueue("a"),
    }
    worker = WorkerByHand(queue)
    worker.finish(worker.claim_one())
    worker.claim_one()
    before = tables.jobs()
    for state, handle in handles.items():
        assert handle.status == state
        with pytest.raises(errors.InvalidTransition, match=rf"^Job {handle.id} is .*{state}.*only failed jobs can be retried"):
            handle.retry()
    for relation in (queue.jobs.scheduled, queue.jobs.ready, queue.jobs.blocked, queue.jobs.claimed, queue.jobs.finished):
        with pytest.raises(errors.InvalidTransition, match="Only failed jobs"):
            relation.retry_all()
    assert tables.jobs() == before


@pytest.mark.behaviour("E9")
@pytest.mark.databases("postgresql", "mariadb")  # SQLite has no locks of rows
@pytest.mark.parametrize("verb", [JobHandle.retry, JobHandle.discard])
def test_a_job_that_somebody_else_is_moving_is_said_to_be_moving(
    queue: FlaskQueue, fail: Callable[[int], list[JobHandle]], verb: Callable[[JobHandle], JobHandle]
) -> None:
    [handle] = fail(1)
    with queue.database.begin() as connection:
        connection.execute(select(jobs.c.id).where(jobs.c.id == handle.id).with_for_update())
        with pytest.raises(errors.InvalidTransition, match=f"^Somebody else is moving job {handle.id} "):
            verb(handle)
    assert handle.status == "failed"


@pytest.mark.behaviour("E9")
def test_a_job_that_is_gone_cannot_be_retried(fail: Callable[[int], list[JobHandle]]) -> None:
    [handle] = fail(1)
    handle.discard()
    with pytest.raises(errors.InvalidTransition, match="does not exist any more"):
        handle.retry()


# --- run now --------------------------------------------------------------------------------------------


@pytest.mark.behaviour("B12")
def test_a_scheduled_job_can_run_now(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).using(wait=3600).enqueue()
    handle.run_now()
    row = tables.job(handle.id)
    assert row.state == "ready"
    assert row.scheduled_at - row.created_at < (row.scheduled_at - row.scheduled_at) + _minute()
    assert queue.work() == 1


def _minute() -> object:
    from datetime import timedelta

    return timedelta(minutes=1)


@pytest.mark.behaviour("F21", "B12")
def test_a_scheduled_job_that_runs_now_waits_for_its_key(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    job.enqueue("a")
    handle = job.using(wait=3600).enqueue("a")
    assert handle.run_now().status == "blocked"


@pytest.mark.behaviour("F21", "B12")
def test_a_job_that_was_seen_as_scheduled_does_not_run_past_its_limit(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    job.enqueue("a")
    job.using(wait=0.05).enqueue("a")
    [seen] = queue.jobs.scheduled.all()
    time.sleep(0.1)
    queue.database.transact(lambda connection: dispatch(connection, queue.definitions, batch_size=1))
    assert seen.state == "scheduled"
    assert seen.run_now().status == "blocked"
    assert seen.run_now().status == "ready", "this time it was seen as blocked"


@pytest.mark.behaviour("F21")
def test_a_blocked_job_that_runs_now_makes_no_spare_slot_when_it_ends(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    holder, hurried, waiting = (job.enqueue("a") for _ in range(3))
    assert hurried.run_now().status == "ready"
    worker = WorkerByHand(queue)
    claims = {claim.job_id: claim for claim in worker.claim(3)}
    assert claims.keys() == {holder.id, hurried.id}
    worker.finish(claims[hurried.id or 0])
    assert waiting.status == "blocked", "the holder still runs"
    worker.finish(claims[holder.id or 0])
    assert waiting.status == "ready"


@pytest.mark.behaviour("F21")
def test_jobs_in_other_states_cannot_run_now(fail: Callable[[int], list[JobHandle]], queue: FlaskQueue, tables: Tables) -> None:
    failed, finished = fail(2)
    finished.retry()
    queue.work()
    before = tables.jobs()
    for handle in (failed, finished):
        with pytest.raises(errors.InvalidTransition, match="only scheduled and blocked jobs can be run now"):
            handle.run_now()
    assert tables.jobs() == before


@pytest.mark.behaviour("B12")
def test_run_now_and_the_dispatcher_move_a_job_once(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    from flask_queue.operations.retry import run_now

    handle = plain(queue).using(wait=3600).enqueue()
    with queue.database.begin() as connection:
        assert run_now(connection, handle.id or 0, queue.definitions)
        second = Aside(app, handle.run_now)
        second.is_held_up()
    with pytest.raises(errors.InvalidTransition):
        second.result()
    assert tables.states() == {"ready": 1}
