"""A dispatcher's rhythm, and its look after jobs that were forgotten."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.config import DispatcherOptions
from flask_queue.processes.dispatcher import Dispatcher
from tests.flask_queue.operations.by_hand import WorkerByHand, ago, change
from tests.flask_queue.operations.declared import limited, plain
from tests.flask_queue.operations.plans import statements_of
from tests.harness.tables import Tables

from .running import running, wait_for, worker


def dispatcher(queue: FlaskQueue, **options: Any) -> Dispatcher:
    return Dispatcher(queue.runtime().private(), DispatcherOptions(**options))


@pytest.mark.behaviour("B4")
def test_it_does_not_sleep_while_there_is_more_to_move(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.using(wait=60).enqueue() for _ in range(3)]
    for handle in handles:
        change(queue, handle.id, scheduled_at=ago(1))
    polls: list[float] = []
    slept = threading.Event()

    class Watched(Dispatcher):
        def poll(self) -> float:
            polls.append(time.monotonic())
            return super().poll()

        def nap(self, seconds: float, descriptors: Sequence[int] = ()) -> None:
            slept.set()
            super().nap(seconds, descriptors)

    one = Watched(queue.runtime().private(), DispatcherOptions(batch_size=1, polling_interval=10))
    with running(one):
        assert slept.wait(5)
        wait_for(queue, ready=3, timeout=1)
        late = job.using(wait=60).enqueue()
        change(queue, late.id, scheduled_at=ago(1))
        time.sleep(1.5)
        assert late.status == "scheduled", "it sleeps as long as it was told to"
        assert len(polls) == 1
        assert tables.processes()[0].metadata == {
            "polling_interval": 10,
            "batch_size": 1,
            "concurrency_maintenance_interval": 300,
        }


@pytest.mark.behaviour("B8")
def test_a_job_that_is_due_soon_is_neither_early_nor_late(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    with running(dispatcher(queue, polling_interval=0.05)), worker(queue):
        handle = job.using(wait=0.4).enqueue()
        wait_for(queue, finished=1, timeout=5)
    row = tables.job(handle.id)
    assert 0 <= (row.claimed_at - row.scheduled_at).total_seconds() < 1


@pytest.mark.behaviour("L4")
def test_it_says_how_many_it_moved(app: Flask, queue: FlaskQueue) -> None:
    facts: list[Any] = []
    queue.events.subscribe(
        lambda name, payload: facts.append((payload["batch_size"], payload["size"])) if name == "dispatch_scheduled" else None
    )
    job = plain(queue)
    handles = [job.using(wait=60).enqueue() for _ in range(8)]
    for handle in handles:
        change(queue, handle.id, scheduled_at=ago(1))
    one = dispatcher(queue, batch_size=10, concurrency_maintenance=False)
    one.poll()
    one.poll()
    assert facts == [(10, 8)]
    one.runtime.database.dispose()


@pytest.mark.behaviour("F14", "F15")
def test_it_looks_after_forgotten_jobs_at_its_start_and_then_now_and_then(
    app: Flask, queue: FlaskQueue, tables: Tables
) -> None:
    """A round lets one job of each key in, a batch of keys at each poll; the end of that one lets the next in."""
    job = limited(queue)
    for key in range(5):
        first = job.enqueue(key)
        for _ in range(2):
            job.enqueue(key)
        change(queue, first.id, state="finished", expires_at=None)
    assert tables.states() == {"finished": 5, "blocked": 10}
    one = dispatcher(queue, batch_size=2, concurrency_maintenance_interval=600)
    for ready in (2, 4, 5, 5):
        one.poll()
        assert tables.states() == {"finished": 5, "ready": ready, "blocked": 10 - ready}
    hand = WorkerByHand(queue)
    for claim in hand.claim(5):
        change(queue, claim.job_id, state="finished", expires_at=None)
    one.poll()
    assert tables.states() == {"finished": 10, "blocked": 5}, "not before its time"
    one.concurrency_maintenance_interval = 0
    for ready in (2, 4, 5):
        one.poll()
        assert tables.states()["ready"] == ready
    assert tables.states() == {"finished": 10, "ready": 5}
    one.runtime.database.dispose()


@pytest.mark.behaviour("F15")
def test_that_look_locks_nothing_where_all_slots_are_taken(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """It would take SQLite's write lock for each of a thousand keys, as it begins."""
    job = limited(queue)
    first, *_ = [job.enqueue("a"), job.enqueue("a"), job.enqueue("b"), job.enqueue("b")]
    one = dispatcher(queue)
    with statements_of(one.runtime.database) as statements:
        one.poll()
        assert statements
        assert not [text for text, _ in statements if re.search("BEGIN|UPDATE", text)]
        change(queue, first.id, expires_at=ago(1))
        one.concurrency_maintenance_interval = 0
        one.poll()
        assert len([text for text, _ in statements if text.startswith("UPDATE")]) == 1
    assert tables.states() == {"ready": 3, "blocked": 1}
    one.runtime.database.dispose()


@pytest.mark.behaviour("B2", "F15")
def test_due_jobs_do_not_wait_for_that_look(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    plain_job, limited_job = plain(queue), limited(queue)
    first, _ = limited_job.enqueue("a"), limited_job.enqueue("a")
    change(queue, first.id, state="finished", expires_at=None)
    due = plain_job.using(wait=60).enqueue()
    change(queue, due.id, scheduled_at=ago(1))
    order: list[str] = []
    queue.events.subscribe(
        lambda name, payload: order.append(name) if name in ("dispatch_scheduled", "release_many_blocked") else None
    )
    one = dispatcher(queue)
    one.poll()
    assert order == ["dispatch_scheduled", "release_many_blocked"]
    one.runtime.database.dispose()


@pytest.mark.behaviour("B2", "F14")
def test_a_key_that_cannot_be_looked_after_harms_neither_due_jobs_nor_the_keys_behind_it(
    app: Flask, queue: FlaskQueue, tables: Tables, errors: list[BaseException]
) -> None:
    """Its row comes with what no definition of a job is."""
    job = limited(queue)
    for key in "abc":
        first, _ = job.enqueue(key), job.enqueue(key)
        change(queue, first.id, state="finished", expires_at=None)
    [broken] = [row for row in tables.jobs() if row.concurrency_key == "limited/b" and row.state == "blocked"]
    change(queue, broken.id, name="broken")
    due = plain(queue).using(wait=60).enqueue()
    change(queue, due.id, scheduled_at=ago(1))
    queue.definitions._by_name["broken"] = object()  # type: ignore[assignment]
    one = dispatcher(queue)
    for _ in range(2):
        one.poll()
    assert tables.states() == {"finished": 3, "ready": 3, "blocked": 1}
    assert [type(error) for error in errors] == [AttributeError]
    one.runtime.database.dispose()


@pytest.mark.behaviour("F14", "B2")
def test_due_jobs_that_cannot_be_moved_do_not_keep_it_from_that_look(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    first, _ = job.enqueue("a"), job.enqueue("a")
    change(queue, first.id, state="finished", expires_at=None)
    due = job.using(wait=60).enqueue("b")
    change(queue, due.id, scheduled_at=ago(1), name="broken")
    queue.definitions._by_name["broken"] = object()  # type: ignore[assignment]
    one = dispatcher(queue)
    with pytest.raises(AttributeError):
        one.poll()
    assert tables.states() == {"finished": 1, "ready": 1, "scheduled": 1}
    one.runtime.database.dispose()


@pytest.mark.behaviour("F15")
def test_that_look_can_be_switched_off(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    first, _ = job.enqueue("a"), job.enqueue("a")
    change(queue, first.id, state="finished", expires_at=None)
    one = dispatcher(queue, concurrency_maintenance=False)
    one.poll()
    assert tables.states() == {"finished": 1, "blocked": 1}
    one.runtime.database.dispose()


@pytest.mark.behaviour("L4")
def test_it_says_whom_it_let_in(app: Flask, queue: FlaskQueue) -> None:
    facts: list[Any] = []
    queue.events.subscribe(lambda name, payload: facts.append(payload) if name == "release_many_blocked" else None)
    job = limited(queue)
    first, _ = job.enqueue("a"), job.enqueue("a")
    change(queue, first.id, expires_at=ago(1))
    one = dispatcher(queue)
    one.poll()
    assert facts == [{"size": 1, "key": "limited/a"}]
    one.runtime.database.dispose()
