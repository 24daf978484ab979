"""A worker goes on in a line where it left off, and misses nothing for good that became ready before that place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_queue import FlaskQueue
from flask_queue.models import State
from flask_queue.operations.claim import anything_ready
from flask_queue.operations.marks import Marks
from flask_queue.operations.selectors import Selector
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, change
from .declared import plain
from .plans import entries_read, statements_of


def lasting() -> Marks:
    """Marks that a worker goes by however quickly it would find the beginning of a line, and for years."""
    return Marks(quick=0.0, share=1e-12, longest=float("inf"))


Put: TypeAlias = Callable[..., list[int]]


@pytest.fixture
def put(app: Flask, queue: FlaskQueue) -> Put:
    """Enqueue a job of each of these priorities; their ids."""
    job = plain(queue)

    def put(*priorities: int, name: str = "default") -> list[int]:
        handles = [job.using(queue=name, priority=priority).enqueue() for priority in priorities]
        return [handle.id for handle in handles if handle.id is not None]

    return put


def give_back(queue: FlaskQueue, *ids: int) -> None:
    """Let claimed jobs be ready again, at their old place."""
    for job_id in ids:
        change(queue, job_id, state=State.READY.value, process_id=None)


@pytest.mark.behaviour("C2")
@pytest.mark.parametrize("queues", [("*",), ("default",), ("def*",)], ids=" ".join)
def test_what_became_ready_before_the_mark_comes_when_there_is_nothing_behind(
    queue: FlaskQueue, put: Put, queues: tuple[str, ...]
) -> None:
    first, second, third, fourth = put(0, 0, 0, 0)
    worker = WorkerByHand(queue, *queues, marks=lasting())
    assert worker.claim_ids(2) == [first, second]
    give_back(queue, first)
    assert worker.claim_ids() == [third]
    assert worker.looks()
    assert worker.claim_ids(5) == [fourth, first]
    give_back(queue, second)
    assert worker.claim_ids(5) == [second]


@pytest.mark.behaviour("C2")
@pytest.mark.parametrize("queues", [("*",), ("default",), ("def*",)], ids=" ".join)
def test_a_smaller_number_does_not_wait_behind_a_mark(queue: FlaskQueue, put: Put, queues: tuple[str, ...]) -> None:
    first, second, third = put(0, 0, 0)
    worker = WorkerByHand(queue, *queues, marks=lasting())
    assert worker.claim_ids() == [first]
    [urgent] = put(-1)
    assert worker.claim_ids() == [urgent]
    assert worker.claim_ids(2) == [second, third]


@pytest.mark.behaviour("C2")
@pytest.mark.parametrize("priority", [-1, 0, 1])
@pytest.mark.parametrize("queues", [("*",), ("default",), ("def*",)], ids=" ".join)
def test_a_look_from_a_mark_sees_jobs_of_any_priority(
    queue: FlaskQueue, put: Put, queues: tuple[str, ...], priority: int
) -> None:
    """Where nobody tells of them, a worker claims only when it has seen something."""
    [first] = put(0)
    worker = WorkerByHand(queue, *queues, marks=lasting())
    assert worker.claim_ids() == [first]
    assert not worker.looks()
    [other] = put(priority)
    assert worker.looks()
    assert worker.claim_ids() == [other]


@pytest.mark.behaviour("C2")
def test_a_larger_number_waits_for_what_became_ready_before_the_mark(queue: FlaskQueue, put: Put) -> None:
    first, second, later = put(0, 0, 1)
    worker = WorkerByHand(queue, marks=lasting())
    assert [worker.claim_ids(), worker.claim_ids()] == [[first], [second]]
    give_back(queue, first)
    assert [worker.claim_ids(), worker.claim_ids()] == [[first], [later]]


@pytest.mark.behaviour("C3")
def test_all_of_a_queue_comes_before_the_next_queue(queue: FlaskQueue, put: Put) -> None:
    first, second = put(0, 0, name="a")
    [other] = put(0, name="b")
    worker = WorkerByHand(queue, "a", "b", marks=lasting())
    assert worker.claim_ids(1) == [first]
    give_back(queue, first)
    assert worker.claim_ids(2) == [second, first]
    assert worker.claim_ids(2) == [other]


@pytest.mark.behaviour("C5")
def test_a_new_queue_is_found_when_those_of_old_have_nothing_more(queue: FlaskQueue, put: Put) -> None:
    first, second = put(0, 0, name="mail_b")
    worker = WorkerByHand(queue, "mail_*", marks=lasting())
    assert worker.claim_ids(1) == [first]
    [other] = put(0, name="mail_a")
    assert worker.claim_ids(2) == [second, other]
    assert worker.claim_ids(2) == []


@pytest.mark.behaviour("C5")
def test_a_new_queue_is_found_when_others_have_taken_what_was_in_those_of_old(queue: FlaskQueue, put: Put) -> None:
    [taken] = put(0, name="mail_b")
    worker = WorkerByHand(queue, "mail_*", marks=lasting())
    assert worker.looks()
    assert WorkerByHand(queue, "mail_b").claim_ids(1) == [taken]
    [other] = put(0, name="mail_c")
    assert worker.claim_ids(1) == [other]


@pytest.mark.behaviour("C1")
def test_lines_without_jobs_are_not_read_over_and_over(queue: FlaskQueue, put: Put) -> None:
    """Each may have been read from too late a place, and the other meanwhile: that must come to an end."""
    for name in ("a", "b"):
        put(0, name=name)
    worker = WorkerByHand(queue, "a", "b", marks=lasting())
    assert len(worker.claim(1)) == len(worker.claim(1)) == 1
    with statements_of(queue.database) as statements:
        assert worker.claim(5) == []
    assert sum("queue_jobs" in text for text, _ in statements) == 3  # one line behind its mark, then both from their beginnings


@pytest.mark.databases("sqlite", "postgresql")
def test_in_any_order_nothing_is_missed(queue: FlaskQueue, put: Put, tables: Tables) -> None:
    worker = WorkerByHand(queue, marks=lasting())

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.one_of(st.integers(-2, 2), st.sampled_from(["claim 1", "claim 2", "claim 9", "give back"])), max_size=30)
    )
    def any_order(steps: list[int | str]) -> None:
        claimed: list[int] = []
        for step in steps:
            ready = {job.id: job.priority for job in tables.jobs(state="ready")}
            if isinstance(step, int):
                put(step)
            elif step == "give back":
                give_back(queue, *claimed[:1])
                del claimed[:1]
            else:
                limit = int(step.removeprefix("claim "))
                ids = worker.claim_ids(limit)
                assert len(ids) == min(limit, len(ready))
                assert sorted(ready[job_id] for job_id in ids) == sorted(ready.values())[:limit]
                claimed += ids
        worker.claim(100)
        assert not tables.jobs(state="ready")

    any_order()


def test_a_mark_is_held_for_as_long_as_it_is_worth() -> None:
    marks = Marks(quick=0.01, share=0.5)
    marks.move(None, 3, 14)
    assert marks.place(None) is None
    marks.hold(None, 0.009)
    assert marks.place(None) is None
    marks.hold(None, 0.05)
    assert marks.place(None) == {"mark_priority": 3, "mark_id": 14}
    assert marks.place("default") is None
    time.sleep(0.11)
    assert marks.place(None) is None
    short = Marks(longest=0.1)  # for a machine that stood still
    short.move(None, 3, 14)
    short.hold(None, 1000)
    assert short.place(None) is not None
    time.sleep(0.11)
    assert short.place(None) is None
    marks.hold(None, 1000)
    marks.miss()
    assert marks.place(None) is None
    assert marks.have_missed


@contextmanager
def left_open(queue: FlaskQueue) -> Iterator[None]:
    """A transaction that somebody has forgotten: it may still ask for what was there when it began."""
    with queue.database.connect() as connection:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SELECT 1 FROM queue_jobs").all()
        yield
        connection.exec_driver_sql("ROLLBACK")


@pytest.mark.behaviour("C17")
@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("queues", [("*",), ("default",), ("def*",)], ids=" ".join)
def test_what_is_gone_is_not_stepped_over_again(app: Flask, queue: FlaskQueue, queues: tuple[str, ...]) -> None:
    """As long as a transaction is open, nothing can be cleaned up: all jobs since then stay at the beginning of the line."""
    job = plain(queue)
    marks = lasting()
    worker = WorkerByHand(queue, *queues, marks=marks)
    with left_open(queue):
        queue.enqueue_all([job.build() for _ in range(4_500)])
        claims = worker.claim(100)
        for _ in range(40):
            claims = worker.finish_and_claim(claims, 100)
        claims = worker.finish_and_claim(claims, 10)
        before = entries_read(queue.database)
        for _ in range(10):
            claims = worker.finish_and_claim(claims, 10)
            with queue.database.connect() as connection:
                assert anything_ready(connection, Selector.parse(queues), marks=marks)
        assert 0 < entries_read(queue.database) - before < 1_000
