"""From blocked to ready: as many as there are free slots, the right ones, and none is forgotten."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_queue import Concurrency, FlaskQueue
from flask_queue.operations.unblock import blocked_keys, unblock
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, ago, change
from .declared import forget, limited
from .interleaving import at_once, times


def unblock_all(queue: FlaskQueue, *keys: str, at_most: int | None = None) -> int:
    return len(queue.database.transact(lambda connection: unblock(connection, keys, queue.definitions, at_most=at_most)))


def redeclare(queue: FlaskQueue, **rule: object) -> None:
    """Let a deploy have changed the rule of `limited`; without one it is limited no longer."""
    forget(queue, "limited")
    concurrency = Concurrency(key=lambda key: key, **rule) if rule else None  # type: ignore[arg-type]

    @queue.job(name="limited", concurrency=concurrency)
    def job(key: object) -> None: ...


@pytest.mark.behaviour("F9")
def test_a_call_too_many_lets_nobody_in(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=2)
    for _ in range(4):
        job.enqueue("a")
    assert [unblock_all(queue, "limited/a") for _ in range(3)] == [0, 0, 0]
    assert tables.states() == {"ready": 2, "blocked": 2}
    assert unblock_all(queue) == unblock_all(queue, "nobody") == 0


@pytest.mark.behaviour("F9", "F8")
def test_calls_at_once_let_in_no_more_than_one_would(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=3)
    for key in range(4):
        handles = [job.enqueue(key) for _ in range(9)]
        for handle in handles[:3]:
            change(queue, handle.id, state="finished")
        let_in = at_once(app, *times(3, lambda key=key: unblock_all(queue, f"limited/{key}")))  # type: ignore[misc]
        assert sum(let_in) == 3
    assert tables.states() == {"finished": 12, "ready": 12, "blocked": 12}


@pytest.mark.behaviour("F20")
def test_the_smaller_number_and_then_the_older_job_comes_in_whatever_its_queue(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    worker = WorkerByHand(queue)
    job.enqueue("a")
    waiting = [
        job.using(priority=priority, queue=name).enqueue("a") for priority, name in [(1, "a"), (0, "z"), (0, "b"), (-1, "y")]
    ]
    order = []
    for _ in range(4):
        worker.finish(worker.claim_one())
        [position] = [n for n, handle in enumerate(waiting) if handle.status == "ready"]
        order.append(position)
    assert order == [3, 1, 2, 0]


@pytest.mark.behaviour("F14")
def test_a_slot_that_expired_goes_to_the_next(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    holder, waiting = job.enqueue("a"), job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.claim_one()
    change(queue, holder.id, expires_at=ago(1))
    assert unblock_all(queue, "limited/a") == 1
    assert waiting.status == "ready"


@pytest.mark.behaviour("F14")
def test_blocked_jobs_without_any_holder_are_let_in(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """However that came about: their holder was deleted by hand, or died between an ending and the next job."""
    job = limited(queue)
    handles = [job.enqueue("a") for _ in range(11)]
    change(queue, handles[0].id, state="finished", expires_at=None)
    assert queue.work() == 10
    assert tables.states() == {"finished": 11}


@pytest.mark.behaviour("F15")
def test_a_pass_lets_one_of_each_key_in(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=3)
    for key in "ab":
        for handle in [job.enqueue(key) for _ in range(6)][:3]:
            change(queue, handle.id, state="finished")
    assert unblock_all(queue, "limited/a", "limited/b", at_most=1) == 2
    assert tables.states() == {"finished": 6, "ready": 2, "blocked": 4}
    assert unblock_all(queue, "limited/a", at_most=1) == 1
    assert unblock_all(queue, "limited/a", at_most=5) == 1


@pytest.mark.behaviour("F15")
def test_keys_with_blocked_jobs_come_in_batches(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    for key in ("b", "a", "ü", "B", "d"):
        job.enqueue(key)
        job.enqueue(key)
    job.enqueue("free")
    with queue.database.connect() as connection:
        first = blocked_keys(connection, limit=3)
        rest = blocked_keys(connection, after=first[-1], limit=3)
    assert first + rest == ["limited/B", "limited/a", "limited/b", "limited/d", "limited/ü"]
    assert len(rest) == 2


@pytest.mark.behaviour("F19")
@pytest.mark.parametrize(("before", "after", "ready"), [(5, 1, 1), (1, 5, 5), (2, 3, 3)])
def test_a_deploy_changes_the_limit(app: Flask, queue: FlaskQueue, tables: Tables, before: int, after: int, ready: int) -> None:
    job = limited(queue, to=before)
    for _ in range(10):
        job.enqueue("a")
    redeclare(queue, to=after)
    worker = WorkerByHand(queue)
    for claim in worker.claim(before):
        worker.finish(claim)
    assert tables.states() == {"finished": before, "ready": ready, "blocked": 10 - before - ready}


@pytest.mark.behaviour("F19")
def test_a_deploy_removes_the_limit(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    for _ in range(5):
        job.enqueue("a")
    redeclare(queue)
    assert queue.find_definition("limited").enqueue("a").status == "ready"  # type: ignore[union-attr]
    assert queue.work() == 6
    assert tables.states() == {"finished": 6}


@pytest.mark.behaviour("F19", "D4")
def test_without_a_definition_a_row_keeps_its_own_limit(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=2)
    handles = [job.enqueue("a") for _ in range(5)]
    forget(queue, "limited")
    for handle in handles[:2]:
        change(queue, handle.id, state="finished")
    assert unblock_all(queue, "limited/a") == 2
    change(queue, handles[4].id, concurrency_limit=None)
    for handle in handles[2:4]:
        change(queue, handle.id, state="finished")
    assert unblock_all(queue, "limited/a") == 1, "no limit at all is 1"


@pytest.mark.behaviour("F3", "F5")
def test_a_line_is_worked_off_whatever_becomes_of_each_job(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    running: list[str] = []

    @queue.job(concurrency=Concurrency())
    def job(letter: str) -> None:
        assert not running
        running.append(letter)
        try:
            if letter in "ACE":
                raise ValueError(letter)
        finally:
            running.pop()

    for letter in "ABCDEFGHIJK":
        job.enqueue(letter)
    assert queue.work() == 11
    assert tables.states() == {"failed": 3, "finished": 8}


@pytest.mark.behaviour("F17")
def test_a_line_whose_slots_all_expire_does_not_stall(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """Each end of a job that outlived its slot still looks whether somebody can come in."""
    job = limited(queue, to=2)
    handles = [job.enqueue("a") for _ in range(12)]
    worker = WorkerByHand(queue)
    for _ in range(6):
        claims = worker.claim(5)
        assert claims
        for claim in claims:
            change(queue, claim.job_id, expires_at=ago(5))
        worker.finish(*claims)
    assert [handle.status for handle in handles] == ["finished"] * 12
