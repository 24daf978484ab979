"""What each step in the life of a job costs, in statements. Exact numbers: who adds one has to say so here."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from flask_queue import FlaskQueue
from flask_queue.config import DispatcherOptions
from flask_queue.operations.dispatch import dispatch
from flask_queue.operations.enqueue import NewJobs
from flask_queue.processes.dispatcher import Dispatcher

from ..relay import Relay
from .by_hand import WorkerByHand
from .declared import coroutine, limited, plain
from .plans import statements_of

#: By database: SQLite, PostgreSQL, MariaDB. BEGIN and COMMIT are statements too, and a COMMIT waits for the disk;
#: a statement by itself is a transaction, so that each line below is one commit.
COSTS = {
    "enqueue": (1, 1, 1),
    "enqueue limited": (4, 5, 5),
    "enqueue a thousand": (4, 5, 7),
    "look": (2, 1, 1),
    "look again": (1, 1, 1),
    "look for due jobs": (1, 1, 1),
    "claim ten": (4, 1, 4),
    "claim ten around a paused queue": (7, 6, 7),
    "finish ten and claim ten": (5, 1, 5),
    "finish ten and claim ten with room for coroutines": (5, 1, 5),
    # Without room for them, so that PostgreSQL is told to tell others.
    "finish a limited one, and let the next in": (5, 6, 7),
    "finish ten limited ones, and let the next of each in": (14, 6, 16),
    "fail": (4, 4, 4),
    "dispatch five hundred": (4, 4, 4),
}


@pytest.mark.parametrize("step", COSTS)
def test_a_step_takes_as_few_statements_as_it_can(app: Flask, queue: FlaskQueue, database_name: str, step: str) -> None:
    act = _prepared(queue, step)
    with statements_of(queue.database) as statements:
        act()
    expected = COSTS[step][["sqlite", "postgresql", "mariadb"].index(database_name)]
    assert len(statements) == expected, [text for text, _ in statements]
    begun, committed = ([text for text, _ in statements if text.startswith(word)] for word in ("BEGIN", "COMMIT"))
    assert len(begun) == len(committed) == (0 if len(statements) == 1 or step.startswith("look") else 1)


#: How often PostgreSQL's answer is waited for.
TURNS = {
    "enqueue": 1,
    "enqueue limited": 3,
    "finish ten and claim ten": 1,
    "finish a limited one, and let the next in": 2,
    "finish ten limited ones, and let the next of each in": 2,
}


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("step", TURNS)
def test_what_nobody_waits_for_goes_with_the_next_message(
    make_app: Callable[..., Flask], queue: FlaskQueue, relay: Relay, step: str
) -> None:
    app = make_app(SQLALCHEMY_BINDS={"queue": relay.url})
    with app.app_context():
        act = _prepared(queue, step)
        WorkerByHand(queue)  # now a connection is at hand
        before = relay.turns
        act()
    assert relay.turns - before == TURNS[step]


@pytest.mark.databases("sqlite")
def test_the_driver_sees_no_more_than_what_we_send(app: Flask, queue: FlaskQueue) -> None:
    """Nobody watches but SQLite itself: the way without SQLAlchemy is the way that counts."""
    seen: list[str] = []
    queue.database.dispose()
    event.listen(queue.database.engine, "connect", lambda connection, record: connection.set_trace_callback(seen.append))
    enqueue, exchange = (_prepared(queue, step) for step in ("enqueue", "finish ten and claim ten"))
    for act, verbs in ((enqueue, ["INSERT"]), (exchange, ["BEGIN", "UPDATE", "SELECT", "UPDATE", "COMMIT"])):
        del seen[:]
        act()
        assert [text.split()[0] for text in seen if not text.startswith("--")] == verbs


def _prepared(queue: FlaskQueue, step: str) -> Callable[[], Any]:
    """Everything up to the step is done; calling what is returned takes it."""
    job = plain(queue)
    if step.startswith("enqueue"):
        if "limited" in step:
            other = limited(queue)
            return lambda: other.enqueue("a")
        handles = [job.build(n) for n in range(1000)]
        return (lambda: queue.enqueue_all(handles)) if "thousand" in step else job.enqueue
    if step.startswith("dispatch"):
        queue.enqueue_all([job.using(wait=0.01).build() for _ in range(500)])
        _let_all_be_due(queue)
        return lambda: queue.database.transact(lambda one: dispatch(one, queue.definitions, batch_size=500))
    if "coroutines" in step:
        coroutine(queue)
    worker = WorkerByHand(queue)
    worker.knows(paused="paused" in step)
    if step == "look for due jobs":
        return Dispatcher(queue.runtime(), DispatcherOptions(concurrency_maintenance=False)).poll
    if step.startswith("look"):
        if "again" in step:
            worker.looks()
        return worker.looks
    if "limited" in step:
        other = limited(queue)
        keys = "abcdefghij" if "ten" in step else "a"
        queue.enqueue_all([other.build(key) for key in keys * 2])
        claims = worker.claim(10)
        return lambda: worker.finish(*claims)
    queue.enqueue_all([job.build() for _ in range(20)])
    if step.startswith("claim ten"):
        return lambda: worker.claim(10)
    claims = worker.claim(10)
    return (lambda: worker.fail(claims[0])) if step == "fail" else lambda: worker.finish_and_claim(claims, 10, coroutines=100)


def _let_all_be_due(queue: FlaskQueue) -> None:
    with queue.database.begin() as connection:
        connection.exec_driver_sql("UPDATE queue_jobs SET scheduled_at = created_at")


@pytest.mark.databases("sqlite")
def test_a_call_to_be_enqueued_with_many_is_one_object_to_the_garbage_collector(app: Flask, queue: FlaskQueue) -> None:
    """It looks at everything again and again while many are made: at four objects each, for longer than it takes to write."""

    def tracked() -> int:
        while gc.collect():  # what earlier tests have left may take more than one
            pass
        return len(gc.get_objects())

    job = plain(queue)
    before = tracked()
    handles = [job.build(number) for number in range(1000)]
    assert 900 < tracked() - before < 1500
    several = NewJobs(map(queue.client.new_job, handles))
    assert 900 < tracked() - before < 1500
    assert len(several) == 1000


@pytest.mark.databases("sqlite")
def test_a_call_to_be_enqueued_with_many_keeps_two_objects(app: Flask, queue: FlaskQueue) -> None:
    """Itself and its positional arguments: what is made and kept brings the next full collection nearer."""
    job = plain(queue)
    gc.collect()
    gc.disable()
    try:
        before, *_ = gc.get_count()
        handles = [job.build(number) for number in range(1000)]
        after, *_ = gc.get_count()
    finally:
        gc.enable()
    assert after - before < 2100, f"{(after - before) / len(handles)} objects a call"
