"""`queue.jobs` and handles: what is found, in which order, and what can be done with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue, errors
from flask_queue.client import JobHandle
from tests.flask_queue.operations.by_hand import WorkerByHand, ago, change
from tests.flask_queue.operations.declared import limited, plain
from tests.harness.tables import Tables


def ids(handles: list[JobHandle]) -> list[int | None]:
    return [handle.id for handle in handles]


@pytest.fixture
def one_of_each(app: Flask, queue: FlaskQueue) -> dict[str, JobHandle]:
    """A job in every state."""
    job, narrow = plain(queue), limited(queue)
    worker = WorkerByHand(queue)
    found = {}
    for state, end in (("finished", worker.finish), ("failed", worker.fail), ("claimed", None)):
        found[state] = job.enqueue(1)
        claim = worker.claim_one()
        if end is not None:
            end(claim)
    found["ready"] = narrow.enqueue("a")
    found["blocked"] = narrow.enqueue("a")
    found["scheduled"] = job.using(wait=60).enqueue(1)
    return found


def test_each_state_has_its_jobs(one_of_each: dict[str, JobHandle], queue: FlaskQueue) -> None:
    for state, handle in one_of_each.items():
        relation = getattr(queue.jobs, state)
        assert ids(relation.all()) == [handle.id]
        assert relation.count() == 1
        assert (handle.status, handle.state) == (state, state)
        first = relation.first()
        assert first is not None
        assert first.status == state
    assert queue.jobs.all_states.count() == 6
    assert ids(list(queue.jobs.all_states)) == sorted(ids(list(one_of_each.values())), key=lambda id: id or 0)


def test_a_job_is_found_by_its_id(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).using(queue="mail", priority=3).enqueue(7)
    found = queue.jobs.get(handle.id or 0)
    assert found is not None
    assert (found.id, found.enqueued, found.status, found.name, found.queue, found.priority) == (
        handle.id, True, "ready", "job", "mail", 3,
    )  # fmt: skip
    assert queue.describe_arguments(found.arguments) == "7"
    assert found.exists()
    for unknown in (0, -1, (handle.id or 0) + 1, 2**63 - 1, 2**63, 10**30, -(10**30), True, "1", None):
        assert queue.jobs.get(unknown) is None  # type: ignore[arg-type]


def test_columns_are_read_once_and_again_when_asked_for(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).enqueue(1)
    assert handle.claimed_at is None
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    assert handle.claimed_at is None, "as it was read"
    assert handle.refresh().claimed_at is not None
    assert (handle.process_id, handle.attempt_count) == (worker.id, 0)
    worker.fail(claim)
    assert (handle.refresh().attempt_count, handle.process_id, handle.finished_at) == (1, None, None)
    assert handle.created_at is not None
    assert handle.created_at.tzinfo is not None
    assert handle.concurrency_key is None


def test_a_handle_outlives_its_row(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).enqueue(1)
    assert handle.discard() is handle
    assert (handle.status, handle.exists(), handle.created_at, handle.errors, handle.error) == (None, False, None, [], None)
    assert (handle.id, handle.name) != (None, None)
    assert queue.jobs.get(handle.id or 0) is None
    with pytest.raises(errors.InvalidTransition, match="does not exist any more"):
        handle.discard()


def test_lists_are_in_the_order_that_people_look_for(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    ready = [job.using(priority=priority).enqueue() for priority in (2, 0, 1, 0)]
    assert ids(queue.jobs.ready.all()) == ids([ready[1], ready[3], ready[2], ready[0]])
    later = [job.using(at=datetime(2100, 1, day, tzinfo=UTC)).enqueue() for day in (3, 1, 2)]
    assert ids(queue.jobs.scheduled.all()) == ids([later[1], later[2], later[0]])
    queue.work()
    for handle, seconds in zip(ready, (5, 30, 10, 20), strict=True):
        change(queue, handle.id, finished_at=ago(seconds))
    latest_first = ids([ready[0], ready[2], ready[3], ready[1]])
    assert ids(queue.jobs.finished.all()) == latest_first
    assert ids(queue.jobs.finished.limit(2).offset(1).all()) == latest_first[1:3]
    assert ids(queue.jobs.finished.offset(3).all()) == latest_first[3:]
    assert ids(queue.jobs.finished.limit(0).all()) == []


def test_actions_take_the_part_of_the_list_that_is_shown(app: Flask, queue: FlaskQueue) -> None:
    """By due time, not by id."""
    first, last, between = (plain(queue).using(wait=wait).enqueue() for wait in (60, 180, 120))
    part = queue.jobs.scheduled.offset(1).limit(1)
    assert ids(part.all()) == ids([between])
    assert part.discard_all() == 1
    assert [handle.status for handle in (first, between, last)] == ["scheduled", None, "scheduled"]
    assert queue.jobs.scheduled.offset(1).discard_all() == 1
    assert last.status is None


def test_conditions_narrow_down(app: Flask, queue: FlaskQueue) -> None:
    one, two = plain(queue, "one"), plain(queue, "two")
    handles = [
        one.using(queue="a").enqueue(100),
        one.using(queue="b").enqueue(200),
        two.using(queue="a").enqueue(12),
        two.using(queue="A").enqueue(0),
    ]
    jobs = queue.jobs.ready
    assert ids(jobs.where(queue="a").all()) == ids([handles[0], handles[2]])
    assert ids(jobs.where(queue="a", name="two").all()) == [handles[2].id]
    assert ids(jobs.where(queue="a").where(name="one").all()) == [handles[0].id]
    assert ids(jobs.where(search="00").all()) == ids(handles[:2])
    assert jobs.where(search="%").count() == jobs.where(search="_").count() == 0
    assert jobs.where(queue="c").first() is None


#: Texts, and what finds them.
SEARCHES = {
    "Ada@Example.org": ["ada@example", "ADA@EXAMPLE.ORG"],
    "100%_SURE": ["100%", "0%_s"],
    r"C:\\Temp/[a]*?^": [r"c:\\t", "p/[A]*?^", "p/["],
    "Ä*?[ä]/-": ["ä*", "Ä*?[Ä]/-"],
    "Ärger in der Straße": ["straße", "äRGER IN der", "ärger"],
    "STRASSE": ["strasse"],
    "Привет, Мир": ["привет, мир", "ПРИВЕТ, м"],
    "日本語": ["日本"],
    "é" * 60_000: ["É" * 4_000, "é" * 60_000],
    "y" * 60_000: ["Y" * 60_000],
}
NOTHING = ["0/_s", "0__s", "a%e", "c:/", "[*]", "ä?", "ä%", "ä_", "[ä][*]", "arger", "x" * 60_000]


def test_a_search_heeds_no_case_and_knows_no_wildcards(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(name="job")
    def job(text: str) -> None: ...

    for text in SEARCHES:  # as it is stored, a backslash is two
        job.enqueue(text.replace("\\\\", "\\"))
    for text, searches in SEARCHES.items():
        for search in searches:
            relation = queue.jobs.ready.where(search=search)
            assert [handle.arguments for handle in relation] == [f'["{text}"]'], search
            assert relation.count() == 1
    for search in NOTHING:
        assert queue.jobs.ready.where(search=search).count() == 0, search


def test_finished_jobs_are_found_by_time(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    early, late = job.enqueue(), job.enqueue()
    queue.work()
    noon = datetime(2020, 5, 1, 12, tzinfo=UTC)
    change(queue, early.id, finished_at=noon)
    change(queue, late.id, finished_at=noon + timedelta(hours=1))
    finished = queue.jobs.finished
    assert ids(finished.where(finished_after=noon + timedelta(seconds=1)).all()) == [late.id]
    assert ids(finished.where(finished_before=noon).all()) == [early.id]
    assert finished.where(finished_after=noon, finished_before=noon + timedelta(hours=1)).count() == 2
    east = noon.astimezone(datetime.fromisoformat("2020-05-01T00:00:00+05:00").tzinfo)
    assert ids(finished.where(finished_before=east).all()) == [early.id]


def test_counts_may_have_a_cap(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    queue.enqueue_all([job.build(n) for n in range(7)])
    ready = queue.jobs.ready
    assert (ready.count(), ready.count(cap=5), ready.count(cap=9)) == (7, 5, 7)
    assert (ready.limit(3).count(), ready.offset(4).count(), ready.limit(2).offset(6).count()) == (3, 3, 1)
    assert ready.limit(6).count(cap=4) == 4


@pytest.mark.parametrize("number", [-1, -(2**63), 2**63, 1.5, True, "1", None])
def test_a_limit_that_no_list_has_is_refused_where_it_is_given(app: Flask, queue: FlaskQueue, number: Any) -> None:
    plain(queue).enqueue()
    ready = queue.jobs.ready
    for name, call in {"limit": ready.limit, "offset": ready.offset, "cap": ready.count}.items():
        if (name, number) != ("cap", None):
            with pytest.raises(errors.QueueError, match=rf"^{name}={number!r}: a whole number from 0 to {2**63 - 1}\.$"):
                call(number)
    assert ready.limit(2**63 - 1).offset(0).count(cap=2**63 - 1) == 1
    assert ready.offset(2**63 - 1).all() == []
    assert ready.count(cap=0) == 0


def test_bulk_actions_keep_to_their_page(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.enqueue(n) for n in range(6)]
    worker = WorkerByHand(queue)
    worker.fail(*worker.claim(6))
    assert queue.jobs.failed.offset(1).limit(2).retry_all() == 2
    assert ids([handle for handle in handles if handle.status == "ready"]) == ids(handles[1:3])
    assert queue.jobs.failed.offset(9).discard_all() == 0
    assert queue.jobs.failed.limit(0).discard_all() == 0
    assert queue.jobs.failed.offset(3).discard_all() == 1
    assert len(tables.jobs()) == 5


def test_attempts_tell_who_and_when(app: Flask, queue: FlaskQueue) -> None:
    handle = plain(queue).enqueue(1)
    worker = WorkerByHand(queue)
    worker.retry(worker.claim_one())
    worker.fail(worker.claim_one(), error=ValueError("second"))
    first, second = handle.errors
    assert [(attempt.number, attempt.error_class, attempt.message) for attempt in (first, second)] == [
        (1, "RuntimeError", "broken"),
        (2, "ValueError", "second"),
    ]
    assert second == handle.error
    assert second.process_name == worker.name
    assert first.started_at is not None
    assert first.started_at <= first.failed_at <= second.failed_at
    assert "ValueError: second" in second.traceback


def test_events_tell_of_what_was_done(one_of_each: dict[str, JobHandle], queue: FlaskQueue) -> None:
    facts: list[tuple[str, object]] = []
    queue.events.subscribe(lambda name, payload: facts.append((name, payload.get("job_id", payload.get("size")))))
    one_of_each["failed"].retry()
    one_of_each["scheduled"].discard()
    queue.jobs.failed.retry_all()
    queue.jobs.finished.discard_all()
    queue.queues["mail"].pause()
    queue.queues["mail"].resume()
    assert facts == [
        ("retry", one_of_each["failed"].id),
        ("discard", one_of_each["scheduled"].id),
        ("retry_all", 0),
        ("discard_all", 1),
        ("pause", None),
        ("resume", None),
    ]
