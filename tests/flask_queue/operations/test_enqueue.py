"""New jobs: where they go, and that a race on a concurrency key has one winner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from flask_queue import FlaskQueue
from flask_queue.jobs.concurrency import Limit
from flask_queue.jobs.definition import JobDefinition
from flask_queue.operations.enqueue import NewJob, database_time, enqueue
from tests.harness.tables import Tables

from .by_hand import WorkerByHand
from .declared import limited, plain
from .interleaving import Aside, at_once, times


def database_now(queue: FlaskQueue) -> datetime:
    with queue.database.connect() as connection:
        return database_time(connection)


@pytest.fixture
def job(queue: FlaskQueue) -> JobDefinition[[int], None]:
    return plain(queue)


@pytest.mark.behaviour("A1")
def test_a_job_is_ready_with_its_queue_priority_and_arguments(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    handle = job.using(priority=8, queue="test").enqueue(1)
    [row] = tables.jobs()
    assert (handle.id, handle.enqueued, handle.status) == (row.id, True, "ready")
    assert (row.state, row.queue_name, row.priority, row.name) == ("ready", "test", 8, "job")
    assert row.scheduled_at <= database_now(queue)
    assert queue.describe_arguments(row.arguments) == "1"


@pytest.mark.behaviour("A2")
def test_a_job_goes_to_the_default_queue_with_priority_0(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    before = database_now(queue)
    job.enqueue(1)
    [row] = tables.jobs()
    assert (row.queue_name, row.priority) == ("default", 0)
    assert before <= row.scheduled_at == row.created_at <= database_now(queue)


@pytest.mark.behaviour("B1")
@pytest.mark.parametrize("wait", [300, 300.0, timedelta(minutes=5)])
def test_a_job_for_later_is_scheduled(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables, wait: float | timedelta
) -> None:
    handle = job.using(queue="later", priority=3, wait=wait).enqueue(1)
    row = tables.job(handle.id)
    assert (row.state, row.queue_name, row.priority) == ("scheduled", "later", 3)
    assert abs((row.scheduled_at - database_now(queue)).total_seconds() - 300) < 5


@pytest.mark.behaviour("B7")
@pytest.mark.parametrize(
    ("at", "instant"),
    [
        ("2100-06-01T12:00:00+02:00", "2100-06-01T10:00:00+00:00"),
        ("2100-06-01T12:00:00-09:30", "2100-06-01T21:30:00+00:00"),
        ("2100-06-01T12:00:00", "2100-06-01T12:00:00+00:00"),
        ("2100-06-01T12:00:00.123456+00:00", "2100-06-01T12:00:00.123456+00:00"),
    ],
    ids=["east", "west", "naive is UTC", "microseconds"],
)
def test_an_instant_is_kept_whatever_its_zone(
    app: Flask, job: JobDefinition[[int], None], tables: Tables, at: str, instant: str
) -> None:
    handle = job.using(at=datetime.fromisoformat(at)).enqueue(1)
    row = tables.job(handle.id)
    assert (row.state, row.scheduled_at) == ("scheduled", datetime.fromisoformat(instant))
    assert handle.scheduled_at == datetime.fromisoformat(instant)


@pytest.mark.behaviour("B7")
def test_an_instant_that_is_past_means_at_once(app: Flask, job: JobDefinition[[int], None]) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert job.using(at=past).enqueue(1).status == "ready"
    assert job.using(wait=-5).enqueue(1).status == "ready"
    assert job.using(wait=0).enqueue(1).status == "ready"


@pytest.mark.behaviour("B8")
def test_a_job_for_a_fraction_of_a_second_later_is_neither_rounded_up_nor_down(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    for wait in (0.4, 0.499, 0.501, 0.9994):
        before = database_now(queue)
        by_wait = tables.job(job.using(wait=wait).enqueue(1).id)
        # SQLite's clock knows milliseconds.
        assert -0.001 <= (by_wait.scheduled_at - before).total_seconds() - wait < 0.35
        by_instant = tables.job(job.using(at=before + timedelta(seconds=60 + wait)).enqueue(1).id)
        assert (by_instant.scheduled_at - before).total_seconds() == 60 + wait


# --- concurrency keys -----------------------------------------------------------------------------------


@pytest.mark.behaviour("F1")
def test_the_second_of_a_key_is_blocked(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    first, second = job.enqueue("a"), job.enqueue("a")
    assert (first.status, second.status) == ("ready", "blocked")
    expires_in = (tables.job(second.id).expires_at - database_now(queue)).total_seconds()
    assert 170 < expires_in <= 180


@pytest.mark.behaviour("F3")
def test_as_many_are_ready_as_a_key_has_slots(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=3)
    for _ in range(8):
        job.enqueue("a")
    assert tables.states() == {"ready": 3, "blocked": 5}


@pytest.mark.behaviour("F2")
def test_keys_do_not_meet(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """Not by case, not by trailing spaces, not by a long common beginning, not by an accent; not from job to job."""
    job, other = limited(queue), limited(queue, "other")
    keys = ["a", "A", "a ", " a", "á", "a\u0301", "a\n", "a\x00", "x" * 300, "x" * 301, "", " ", "\U0001f600", "ß", "ss", "SS"]
    for key in keys:
        job.enqueue(key)
        other.enqueue(key)
    assert tables.states() == {"ready": 2 * len(keys)}


@pytest.mark.behaviour("F2")
def test_a_group_joins_jobs(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    first, second = limited(queue, "first", group="together"), limited(queue, "second", group="together")
    assert first.enqueue("a").status == "ready"
    assert second.enqueue("a").status == "blocked"
    assert second.enqueue("b").status == "ready"
    assert {row.concurrency_key for row in tables.jobs()} == {"together/a", "together/b"}


@pytest.mark.behaviour("F24")
def test_a_key_of_none_is_no_limit(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    assert [job.enqueue(None).status for _ in range(3)] == ["ready"] * 3
    assert {row.concurrency_key for row in tables.jobs()} == {None}


@pytest.mark.behaviour("F6")
def test_a_job_that_a_rule_discards_leaves_no_row(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, on_conflict="discard")
    first, second, third, other = job.enqueue("a"), job.enqueue("a"), job.enqueue("a"), job.enqueue("b")
    assert first.enqueued
    assert other.enqueued
    assert [(handle.enqueued, handle.id, handle.status) for handle in (second, third)] == [(False, None, None)] * 2
    assert tables.states() == {"ready": 2}
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    assert not job.enqueue("a").enqueued, "a running job holds its slot"
    worker.finish(claim)
    assert job.enqueue("a").enqueued


@pytest.mark.behaviour("F26")
def test_a_stale_holder_lets_jobs_be_discarded_until_its_slot_expires(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, on_conflict="discard", duration=60)
    job.enqueue("a")
    worker = WorkerByHand(queue)
    worker.claim_one()
    worker.vanish()
    assert not job.enqueue("a").enqueued
    with queue.database.begin() as connection:
        connection.exec_driver_sql("UPDATE queue_jobs SET expires_at = created_at")
    assert job.enqueue("a").enqueued
    assert tables.states() == {"claimed": 1, "ready": 1}


@pytest.mark.behaviour("F6")
def test_of_many_at_the_same_instant_one_is_accepted(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, on_conflict="discard")
    for key in range(5):
        handles = at_once(app, *times(6, lambda key=key: job.enqueue(key)))  # type: ignore[misc]
        assert Counter(handle.enqueued for handle in handles) == {True: 1, False: 5}
    assert tables.states() == {"ready": 5}


@pytest.mark.behaviour("F18")
def test_the_first_enqueues_of_a_key_meet_without_an_error(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue)
    for key in range(5):
        statuses = Counter(handle.status for handle in at_once(app, *times(3, lambda key=key: job.enqueue(key))))  # type: ignore[misc]
        assert statuses == {"ready": 1, "blocked": 2}


@pytest.mark.behaviour("F6", "F18")
def test_who_enqueues_waits_for_who_is_deciding_about_the_same_key(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, "limited")
    new = NewJob("default", "limited", "[]", 0, limit=Limit("limited/a", 1, 180.0, "block"))
    with queue.database.begin() as connection:
        first = enqueue(connection, new)
        second = Aside(app, lambda: job.enqueue("a"))
        assert second.is_held_up()
    assert second.result().status == "blocked"
    assert tables.job(first).state == "ready"


@pytest.mark.databases("postgresql", "mariadb")
def test_other_keys_are_not_held_up(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue, "limited")
    new = NewJob("default", "limited", "[]", 0, limit=Limit("limited/a", 1, 180.0, "block"))
    with queue.database.begin() as connection:
        enqueue(connection, new)
        assert Aside(app, lambda: job.enqueue("b")).result().status == "ready"


# --- many at once ---------------------------------------------------------------------------------------


@pytest.mark.behaviour("G1")
def test_many_mixed_jobs_go_where_each_belongs(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    one, group = limited(queue), limited(queue, "grouped", group="together")
    handles = [
        job.build(1),
        job.using(wait=timedelta(minutes=2)).build(2),
        one.build("a"),
        one.build("a"),
        group.build("a"),
        job.using(wait=timedelta(minutes=3)).build(3),
        group.build("a"),
        one.build("b"),
        job.build(4),
    ]
    assert queue.enqueue_all(handles) == 9
    assert tables.states() == {"ready": 5, "scheduled": 2, "blocked": 2}
    ids = [handle.id for handle in handles]
    assert ids == sorted(id for id in ids if id is not None)
    assert [handle.name for handle in handles] == [tables.job(id).name for id in ids]
    assert [handle.arguments for handle in handles[:2]] == [tables.job(id).arguments for id in ids[:2]]


@pytest.mark.behaviour("G2")
def test_of_many_the_discarded_are_not_counted(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    only = limited(queue, on_conflict="discard")
    handles = [job.build(1), only.build("a"), job.build(2), only.build("a"), job.build(3), only.build("b")]
    assert queue.enqueue_all(handles) == 5
    assert [handle.enqueued for handle in handles] == [True, True, True, False, True, True]
    assert handles[3].id is None
    assert [tables.job(handle.id).name for handle in handles if handle.enqueued] == ["job", "limited", "job", "job", "limited"]
    assert tables.states() == {"ready": 5}


@pytest.mark.behaviour("G1")
def test_many_meet_the_slots_that_are_held_already(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = limited(queue, to=2)
    job.enqueue("a")
    queue.enqueue_all([job.build("a") for _ in range(3)])
    assert tables.states() == {"ready": 2, "blocked": 2}


@pytest.mark.behaviour("G5")
def test_each_of_many_keeps_its_own_options(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    at = datetime(2100, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    before = database_now(queue)
    handles = [
        job.using(queue="mail", priority=-5).build(1),
        job.using(wait=0.4).build(2),
        job.using(at=at).build(3),
        job.using(at=datetime(2000, 1, 1)).build(4),
        job.build(5),
    ]
    queue.enqueue_all(handles)
    rows = [tables.job(handle.id) for handle in handles]
    assert [(row.queue_name, row.priority) for row in rows] == [("mail", -5)] + [("default", 0)] * 4
    assert [row.state for row in rows] == ["ready", "scheduled", "scheduled", "ready", "ready"]
    assert rows[2].scheduled_at == at
    assert abs((rows[1].scheduled_at - before).total_seconds() - 0.4) < 2
    assert before <= rows[0].scheduled_at == rows[4].scheduled_at <= database_now(queue)


@pytest.mark.behaviour("G4")
def test_a_hundred_thousand_jobs_in_one_call(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    """In few statements, with ids in the order of the input."""
    count = 100_000
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *more: object) -> None:
        statements.append(statement)

    event.listen(queue.database.engine, "before_cursor_execute", note)
    handles = [job.build(number) for number in range(count)]
    assert queue.enqueue_all(handles) == count
    event.remove(queue.database.engine, "before_cursor_execute", note)

    ids: Sequence[int] = [handle.id or 0 for handle in handles]
    assert ids == sorted(ids)
    assert len(set(ids)) == count
    for position in (0, 499, 500, 65_536, count - 1):
        assert queue.describe_arguments(tables.job(ids[position]).arguments) == str(position)
    assert tables.states() == {"ready": count}
    assert len(statements) <= 2 * count // 500 + 10


@pytest.mark.behaviour("G6")
def test_none_of_many_is_nothing_and_needs_no_database(app: Flask, queue: FlaskQueue) -> None:
    statements: list[str] = []
    event.listen(queue.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert queue.enqueue_all([]) == 0
    assert queue.enqueue_all(iter([])) == 0
    assert not statements


@pytest.mark.behaviour("G6")
def test_many_may_come_from_a_generator_and_are_enqueued_once(
    app: Flask, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    handles = [job.build(number) for number in range(3)]
    assert queue.enqueue_all(handle for handle in handles) == 3
    assert queue.enqueue_all([*handles, job.build(3), job.enqueue(4)]) == 1
    assert tables.states() == {"ready": 5}
