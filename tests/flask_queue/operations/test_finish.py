"""How a claim ends: only for its owner, once, and with everything that it held let go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from flask import Flask
from sqlalchemy import text

from flask_queue import FlaskQueue
from flask_queue.jobs.concurrency import Limit
from flask_queue.operations.enqueue import NewJob, enqueue
from flask_queue.operations.failure import Failure
from flask_queue.operations.finish import discard_failed, fail, finishing, retry_at_once, retry_later
from flask_queue.operations.unblock import unblock
from flask_queue.processes.performer import Ending, Outcome
from tests.harness.databases import connect
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, ago, change, supervisor
from .declared import forget, limited, plain
from .interleaving import Aside, at_once
from .plans import statements_of
from .test_enqueue import database_now

BROKEN = Failure.of(RuntimeError("broken"))


@pytest.mark.behaviour("D1")
def test_a_finished_job_says_when(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.finish(worker.claim_one())
    row = tables.job(handle.id)
    assert (row.state, row.process_id) == ("finished", None)
    assert row.claimed_at <= row.finished_at <= database_now(queue)


@pytest.mark.behaviour("D1", "O3")
def test_where_finished_jobs_are_not_kept_nothing_is_left(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """Nor of its failed attempts."""
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.retry(worker.claim_one())
    assert len(tables.attempts(handle.id)) == 1
    claim = worker.claim_one()
    with queue.database.begin() as connection:
        assert finishing([claim], preserve=False).take(connection) == 1
    assert not tables.jobs()
    assert not tables.attempts(handle.id)


@pytest.mark.behaviour("D2")
def test_a_failed_job_keeps_what_went_wrong(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.fail(worker.claim_one(), error=KeyError("missing"))
    row = tables.job(handle.id)
    assert (row.state, row.finished_at, row.process_id) == ("failed", None, None)
    [attempt] = tables.attempts(handle.id)
    assert (attempt.error_class, attempt.message) == ("KeyError", "'missing'")
    assert (attempt.number, attempt.process_id, attempt.process_name) == (1, worker.id, worker.name)
    assert attempt.started_at == row.claimed_at
    assert handle.error is not None
    assert handle.error.error_class == "KeyError"


@pytest.mark.behaviour("D7")
def test_a_job_that_fails_again_is_one_failed_job_with_the_new_error(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.fail(worker.claim_one(), error=RuntimeError("old error"))
    handle.retry()
    worker.fail(worker.claim_one(), error=RuntimeError("new error"))
    assert tables.states() == {"failed": 1}
    assert handle.error is not None
    assert handle.error.message == "new error"
    assert [attempt.message for attempt in handle.errors] == ["old error", "new error"]


@pytest.mark.behaviour("E2")
def test_a_retry_waits_as_a_scheduled_job(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).using(queue="mail", priority=7).enqueue(5)
    worker = WorkerByHand(queue)
    before = tables.job(handle.id)
    worker.retry(worker.claim_one(), wait=90)
    row = tables.job(handle.id)
    assert row.state == "scheduled"
    assert (row.queue_name, row.priority, row.arguments) == (before.queue_name, before.priority, before.arguments)
    assert abs((row.scheduled_at - database_now(queue)).total_seconds() - 90) < 5
    assert (row.attempts, row.process_id, len(tables.attempts(handle.id))) == (1, None, 1)


@pytest.mark.behaviour("E2")
def test_the_retry_and_the_end_of_the_attempt_are_one_transaction(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    with suppress(LookupError), queue.database.begin() as connection:
        assert retry_later(connection, claim, BROKEN, 5.0, process_name="w")
        raise LookupError
    assert tables.job(handle.id).state == "claimed"
    assert not tables.attempts(handle.id)


@pytest.mark.behaviour("E3")
def test_a_discarded_error_leaves_the_job_finished(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.discard(worker.claim_one())
    assert handle.status == "finished"
    assert not handle.errors


# --- owners ---------------------------------------------------------------------------------------------


@pytest.mark.behaviour("D8")
def test_who_lost_a_claim_cannot_end_it(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """Not in any way; neither when the job is failed meanwhile, nor ready, nor claimed by another."""
    handle = plain(queue).enqueue()
    loser = WorkerByHand(queue)
    claim = loser.claim_one()

    def nothing_changes() -> None:
        before = tables.job(handle.id), tables.attempts(handle.id)
        with queue.database.begin() as connection:
            assert finishing([claim], preserve=True).take(connection) == 0
            assert finishing([claim], preserve=False).take(connection) == 0
            assert not fail(connection, claim, BROKEN, process_name="w")
            assert not discard_failed(connection, claim, preserve=True)
            assert not retry_later(connection, claim, BROKEN, 5.0, process_name="w")
            assert not retry_at_once(connection, claim, BROKEN, queue.definitions, process_name="w")
        assert (tables.job(handle.id), tables.attempts(handle.id)) == before

    loser.release()
    nothing_changes()
    other = WorkerByHand(queue)
    other_claim = other.claim_one()
    nothing_changes()
    other.fail(other_claim)
    nothing_changes()
    handle.retry()
    other.finish(other.claim_one())
    nothing_changes()


@pytest.mark.behaviour("D8", "F10")
def test_a_late_ending_of_a_pruned_claim_moves_neither_the_job_nor_its_slot(
    app: Flask, queue: FlaskQueue, tables: Tables
) -> None:
    job = limited(queue)
    first, second, third = job.enqueue("a"), job.enqueue("a"), job.enqueue("a")
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    worker.fall_silent()
    supervisor(queue).run_if_due()
    assert [handle.status for handle in (first, second, third)] == ["failed", "ready", "blocked"]
    worker.finish(claim)
    assert [handle.status for handle in (first, second, third)] == ["failed", "ready", "blocked"]
    assert len(first.errors) == 1


@pytest.mark.behaviour("D8")
def test_a_row_id_is_never_used_again(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """A late ending, or a handle, of a deleted job must not meet a stranger."""
    job = plain(queue)
    worker = WorkerByHand(queue)
    handle = job.enqueue()
    claim = worker.claim_one()
    with connect(tables.url) as connection:
        connection.execute(text("DELETE FROM queue_jobs"))
    stranger = job.enqueue()
    assert stranger.id != handle.id
    worker.claim_one()
    worker.finish(claim)
    assert (stranger.status, handle.status) == ("claimed", None)


@pytest.mark.behaviour("D10")
def test_a_job_that_was_deleted_while_it_ran_is_forgotten(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    worker = WorkerByHand(queue)
    for end in (worker.finish, worker.fail, worker.retry, worker.discard):
        job.enqueue()
        claim = worker.claim_one()
        with connect(tables.url) as connection:
            connection.execute(text("DELETE FROM queue_jobs"))
        end(claim)
        assert not tables.jobs()
        assert not tables.attempts(claim.job_id)


def test_several_endings_at_once_each_have_their_own_outcome(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    handles = [job.enqueue(n) for n in range(5)]
    worker = WorkerByHand(queue)
    claims = worker.claim(4)
    next_claims = worker.end(
        Ending(claims[0], Outcome.FAILED, BROKEN),
        Ending(claims[1], Outcome.FINISHED),
        Ending(claims[2], Outcome.RETRIED, BROKEN, 60.0),
        Ending(claims[3], Outcome.DISCARDED, BROKEN),
        room=1,
    )
    assert [handle.status for handle in handles] == ["failed", "finished", "scheduled", "finished", "claimed"]
    assert [claim.job_id for claim in next_claims] == [handles[4].id]


# --- slots ----------------------------------------------------------------------------------------------


@pytest.mark.behaviour("F5")
@pytest.mark.parametrize("how", ["finish", "fail", "discard"])
def test_the_end_of_a_job_lets_the_next_one_in(app: Flask, queue: FlaskQueue, how: str) -> None:
    job = limited(queue)
    handles = [job.enqueue("a") for _ in range(3)]
    worker = WorkerByHand(queue)
    getattr(worker, how)(worker.claim_one())
    assert [handle.status for handle in handles][1:] == ["ready", "blocked"]


@pytest.mark.behaviour("F5", "E2")
def test_a_job_that_waits_for_its_retry_lets_the_next_one_in(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    first, second = job.enqueue("a"), job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.retry(worker.claim_one(), wait=60)
    assert (first.status, second.status) == ("scheduled", "ready")


@pytest.mark.behaviour("E7")
@pytest.mark.parametrize("on_conflict", ["block", "discard"])
@pytest.mark.parametrize("wait", [0.0, 60.0])
def test_a_retry_is_not_eaten_by_the_slot_of_its_own_run(
    app: Flask, queue: FlaskQueue, tables: Tables, on_conflict: str, wait: float
) -> None:
    job = limited(queue, on_conflict=on_conflict)
    handle = job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.retry(worker.claim_one(), wait=wait)
    assert handle.status == ("scheduled" if wait else "ready")
    if wait:
        change(queue, handle.id, scheduled_at=ago(1))
    assert queue.work() == 1
    assert handle.status == "finished"


@pytest.mark.behaviour("E7")
@pytest.mark.parametrize("on_conflict", ["block", "discard"])
def test_a_retry_waits_its_turn_when_others_took_its_key_meanwhile(
    app: Flask, queue: FlaskQueue, tables: Tables, on_conflict: str
) -> None:
    """Whatever the rule does to new jobs: this one has begun already."""
    job = limited(queue, on_conflict=on_conflict)
    retried = job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.retry(worker.claim_one(), wait=60)
    holder = job.enqueue("a")
    assert holder.status == "ready"
    change(queue, retried.id, scheduled_at=ago(1))
    assert queue.work(limit=1) == 1
    assert (retried.status, holder.status) == ("ready", "finished")


@pytest.mark.behaviour("E7")
def test_a_retry_at_once_keeps_its_place_before_those_that_wait(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    first, urgent = job.enqueue("a"), job.using(priority=-5).enqueue("a")
    worker = WorkerByHand(queue)
    worker.retry(worker.claim_one())
    assert (first.status, urgent.status) == ("ready", "blocked")


@pytest.mark.behaviour("E7", "F16")
def test_a_retry_at_once_of_a_job_that_lost_its_slot_is_blocked(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    late = job.enqueue("a")
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    change(queue, late.id, expires_at=ago(1))
    holder = job.enqueue("a")
    assert holder.status == "ready"
    worker.retry(claim)
    assert (late.status, holder.status) == ("blocked", "ready")


@pytest.mark.behaviour("F16")
def test_a_job_that_outlived_its_slot_does_not_hand_out_that_of_another(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    first = job.enqueue("a")
    worker = WorkerByHand(queue)
    late = worker.claim_one()
    change(queue, first.id, expires_at=ago(1))
    second, third = job.enqueue("a"), job.enqueue("a")
    assert (second.status, third.status) == ("ready", "blocked")
    running = worker.claim_one()
    worker.finish(late)
    assert (second.status, third.status) == ("claimed", "blocked")
    worker.finish(running)
    assert third.status == "ready"


@pytest.mark.behaviour("F7")
def test_an_ending_waits_for_who_is_just_blocking_behind_it(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    first = job.enqueue("a")
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    with queue.database.begin() as connection:
        second = enqueue(connection, NewJob("default", "limited", "[]", 0, limit=Limit("limited/a", 1, 180.0, "block")))
        ending = Aside(app, lambda: worker.finish(claim))
        assert ending.is_held_up()
    ending.result()
    assert (first.status, tables.job(second).state) == ("finished", "ready")


@pytest.mark.behaviour("F7")
def test_who_enqueues_waits_for_an_ending_that_is_just_being_written(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    job.enqueue("a")
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    with queue.database.begin() as connection:
        finishing([claim], preserve=True).take(connection)
        unblock(connection, {"limited/a"}, queue.definitions)
        second = Aside(app, lambda: job.enqueue("a"))
        assert second.is_held_up()
    assert second.result().status == "ready"


@pytest.mark.behaviour("F7")
def test_endings_and_enqueues_at_once_strand_nobody(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    worker = WorkerByHand(queue)
    for round_number in range(15):
        job.enqueue(round_number)
        claim = worker.claim_one()
        at_once(app, lambda claim=claim: worker.finish(claim), lambda key=round_number: job.enqueue(key))  # type: ignore[misc]
        [waiting] = tables.jobs(concurrency_key=f"limited/{round_number}", state="ready")
        worker.finish(*worker.claim(1))
        assert tables.job(waiting.id).state == "finished"


@pytest.mark.behaviour("F8")
def test_two_holders_that_end_together_let_two_different_jobs_in(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=2)
    workers = WorkerByHand(queue), WorkerByHand(queue)
    for key in range(8):
        handles = [job.enqueue(key) for _ in range(4)]
        one, two = workers[0].claim_one(), workers[1].claim_one()
        at_once(app, lambda one=one: workers[0].finish(one), lambda two=two: workers[1].finish(two))  # type: ignore[misc]
        assert [handle.status for handle in handles] == ["finished", "finished", "ready", "ready"]
        for worker in workers:
            worker.finish(worker.claim_one())


@pytest.mark.behaviour("D4")
def test_the_slot_of_an_unknown_job_goes_to_the_next(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    handles = [job.enqueue("a") for _ in range(3)]
    forget(queue, "limited")
    worker = WorkerByHand(queue)
    worker.fail(worker.claim_one())
    assert [handle.status for handle in handles] == ["failed", "ready", "blocked"]


@pytest.mark.behaviour("F10")
def test_trouble_with_the_next_job_does_not_undo_the_end_of_this_one(
    app: Flask, queue: FlaskQueue, tables: Tables, database_url: str
) -> None:
    """Here the database itself refuses to let the blocked job become ready."""
    job = limited(queue)
    first, second = job.enqueue("a"), job.enqueue("a")
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    reported: list[BaseException] = []
    queue.on_thread_error(reported.append)
    with refusing_ready_jobs(database_url):
        worker.finish(claim)
    assert (first.status, second.status) == ("finished", "blocked")
    assert len(reported) == 1


@contextmanager
def refusing_ready_jobs(url: str) -> Iterator[None]:
    """A trigger under which no job may become ready."""
    with connect(url) as connection:
        for statement in _TRIGGERS[connection.dialect.name]:
            connection.exec_driver_sql(statement)
    yield
    with connect(url) as connection:
        table = " ON queue_jobs" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER refusing_ready_jobs{table}")


_MYSQL_TRIGGER = [
    "CREATE TRIGGER refusing_ready_jobs BEFORE UPDATE ON queue_jobs FOR EACH ROW"
    " IF NEW.state = 'ready' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF"
]
_TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER refusing_ready_jobs BEFORE UPDATE ON queue_jobs WHEN NEW.state = 'ready'"
        " BEGIN SELECT RAISE(ABORT, 'refused'); END"
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER refusing_ready_jobs BEFORE UPDATE ON queue_jobs FOR EACH ROW WHEN (NEW.state = 'ready')"
        " EXECUTE FUNCTION refuse()",
    ],
    "mysql": _MYSQL_TRIGGER,
    "mariadb": _MYSQL_TRIGGER,
}


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("outcome", [Outcome.RETRIED, Outcome.FINISHED])
def test_keys_are_locked_together_and_before_any_job(app: Flask, queue: FlaskQueue, outcome: Outcome) -> None:
    """Whoever takes one key at a time, or a job before its key, may wait for somebody who waits for him."""
    job = limited(queue)
    queue.enqueue_all([job.build(key) for key in "ab"])
    worker = WorkerByHand(queue)
    a, b = worker.claim(2)
    with statements_of(queue.database) as statements:
        worker.end(Ending(b, outcome, BROKEN), Ending(a, Outcome.FINISHED))
    texts = [(text, str(parameters)) for text, parameters in statements if not text.startswith("BEGIN")]
    text, parameters = texts[0]
    assert "pg_advisory_xact_lock" in text or "INSERT INTO queue_concurrency_keys" in text
    assert "limited/a" in parameters
    assert "limited/b" in parameters
