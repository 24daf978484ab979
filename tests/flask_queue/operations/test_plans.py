"""Every statement of the hot path goes by an index, on each database, whether the table is long or short."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection

from flask_queue import FlaskQueue
from flask_queue.dashboard.filters import Filters
from flask_queue.dashboard.listings import LISTINGS
from flask_queue.dashboard.queries.lists import count_matching, listed
from flask_queue.dashboard.queries.overview import throughput
from flask_queue.dashboard.queries.queues import find_queue
from flask_queue.database import now, now_plus
from flask_queue.models import State, jobs
from flask_queue.operations import queues
from flask_queue.operations.claim import Kinds, anything_ready, claim
from flask_queue.operations.dispatch import anything_due, dispatch
from flask_queue.operations.failure import Failure
from flask_queue.operations.recover import fail_orphans, fail_unknown, release
from flask_queue.operations.selectors import Selector, ready_names
from flask_queue.operations.slots import Slots
from flask_queue.operations.unblock import blocked_keys, first_in_lines, unblock

from .by_hand import WorkerByHand
from .declared import limited, plain
from .plans import analyze, effort, fill, kept_plan, plan, statements_of

ALL = Selector.parse(["*"])
#: What reads the table from one end to the other, or sorts it, in each database's words.
SLOW = {
    "sqlite": ("scan queue_jobs", "temp b-tree for order by"),
    "postgresql": ("seq scan on queue_jobs",),
    "mariadb": ("queue_jobs all ", "queue_jobs index ", "filesort"),
}


def is_slow(text: str, step: str, database_name: str) -> bool:
    """Whether a step of a statement's plan takes the longer, the longer the table is."""
    if database_name == "sqlite" and "index ix_queue_jobs" in step:
        return False  # along a partial index: of one state only, and in the order that is wanted
    if any(words in text for words in ("GROUP BY", "AS head", "ORDER BY queue_jobs.priority + ", "ORDER BY queue_jobs.id + ")):
        # The few that hold a slot of a key, a window of the line, those picked by their ids, those that a process holds: they
        # do not grow with the line.
        return any(words in step for words in SLOW[database_name] if "sort" not in words and "order" not in words)
    return any(words in step for words in SLOW[database_name])


class Steps:
    """What a worker, a dispatcher or a client does to a long table, by name."""

    def __init__(self, queue: FlaskQueue, size: int = 20_000) -> None:
        self.queue = queue
        job, self.limited = plain(queue), limited(queue)
        fill(queue, ready=size, finished=size)
        queue.enqueue_all([job.using(wait=0.001).build() for _ in range(size // 10)])
        queue.enqueue_all([self.limited.build(f"key-{n % (size // 100)}") for n in range(size // 5)])
        self.worker = WorkerByHand(queue)
        self.claims = self.worker.claim(20)
        [first] = self._claimed_of_key("key-0")
        self.of_key = first
        analyze(queue)

    def _claimed_of_key(self, key: str) -> list[Any]:
        with self.queue.database.begin() as connection:
            names = Kinds(("limited",), only=True)
            connection.exec_driver_sql("UPDATE queue_jobs SET priority = -1 WHERE state = 'ready' AND name = 'limited'")
            found = claim(connection, ALL, limit=200, process_id=self.worker.id, kinds=names)
        return [one for one in found if one.concurrency_key is not None and one.concurrency_key.endswith(key)]

    def run(self, name: str) -> None:
        getattr(self, name.replace(" ", "_"))()

    def transact(self, work: Callable[..., Any]) -> None:
        assert self.queue.database.transact(work), "there was something to do"

    def claim_from_all(self) -> None:
        assert self.worker.claim(3)

    def claim_from_one(self) -> None:
        assert WorkerByHand(self.queue, "mail").claim(3)

    def claim_by_prefix(self) -> None:
        assert WorkerByHand(self.queue, "m*").claim(3)

    def claim_around_a_paused_queue(self) -> None:
        self.queue.queues["other"].pause()
        worker = WorkerByHand(self.queue)
        assert worker.looks()
        assert worker.claim(3)

    def claim_one_kind(self) -> None:
        kinds = Kinds(("job",), only=True)
        self.transact(lambda one: claim(one, ALL, limit=3, process_id=self.worker.id, kinds=kinds))

    def claim_but_one_kind(self) -> None:
        kinds = Kinds(("another",), only=False)
        self.transact(lambda one: claim(one, ALL, limit=3, process_id=self.worker.id, kinds=kinds))

    def look(self) -> None:
        self.transact(lambda one: anything_ready(one, ALL))

    def look_by_prefix(self) -> None:
        self.transact(lambda one: anything_ready(one, Selector.parse(["m*"])))

    def finish_and_claim(self) -> None:
        assert self.worker.finish_and_claim(self.claims, 20)

    def finish_a_limited_one(self) -> None:
        self.worker.finish(self.of_key)

    def fail(self) -> None:
        self.worker.fail(self.claims[0])

    def retry_later(self) -> None:
        self.worker.retry(self.claims[0], wait=60)

    def retry_a_limited_one(self) -> None:
        self.worker.retry(self.of_key)

    def enqueue_a_limited_one(self) -> None:
        assert self.limited.enqueue("key-1")

    def look_for_due_jobs(self) -> None:
        self.transact(anything_due)

    def dispatch(self) -> None:
        self.transact(lambda one: dispatch(one, self.queue.definitions, batch_size=100))

    def find_blocked_keys(self) -> None:
        self.transact(lambda one: blocked_keys(one, limit=20))

    def look_at_blocked_keys(self) -> None:
        self.transact(lambda one: first_in_lines(one, ["limited/key-1", "limited/key-2"]))

    def unblock(self) -> None:
        self.worker.finish(self.of_key)
        self.queue.database.transact(lambda one: unblock(one, [f"limited/key-{n}" for n in range(30)], self.queue.definitions))

    def give_back(self) -> None:
        assert self.worker.release()


STEPS = [name.replace("_", " ") for name in vars(Steps) if name[0] != "_" and name not in ("run", "transact")]


@pytest.mark.behaviour("C17")
@pytest.mark.parametrize("name", STEPS)
def test_a_step_goes_by_an_index(app: Flask, queue: FlaskQueue, database_name: str, name: str) -> None:
    steps = Steps(queue)
    with statements_of(queue.database) as statements:
        steps.run(name)
    looks = [(text, parameters) for text, parameters in statements if "queue_jobs" in text and not text.startswith("INSERT")]
    assert looks
    for text, parameters in looks:
        found = plan(queue.database, text, parameters)
        assert not [step for step in found if is_slow(text, step, database_name)], (text, found)


@pytest.mark.behaviour("C17")
@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", STEPS)
def test_a_plan_that_is_made_early_serves_a_table_that_has_grown(app: Flask, queue: FlaskQueue, name: str) -> None:
    """A process's plans are kept until the table is next analyzed, which may be a minute and a million jobs later."""
    steps = Steps(queue, size=200)
    with statements_of(queue.database) as statements:
        steps.run(name)
    for text, parameters in statements:
        if "queue_jobs" in text and not text.startswith("INSERT"):
            found = kept_plan(queue.database, text, parameters)
            assert not [step for (step,) in found if "Seq Scan on queue_jobs" in step], (text, found)


NOBODY, LOST = -1, Failure.of(RuntimeError("lost"))
LONG_AGO, SOON = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
#: Looks that find little or nothing on a table that has a lot, by name.
LOOKS: dict[str, Callable[[FlaskQueue, Connection], Any]] = {
    "for ready jobs of a queue": lambda queue, one: anything_ready(one, Selector.parse(["other"])),
    "for ready jobs of a queue before all": lambda queue, one: anything_ready(one, Selector.parse(["a"])),
    "for ready jobs of a queue between others": lambda queue, one: anything_ready(one, Selector.parse(["n"])),
    "for queues with ready jobs": lambda queue, one: ready_names(one, ""),
    "for queues with ready jobs, by a prefix": lambda queue, one: ready_names(one, "n"),
    "for due jobs": lambda queue, one: anything_due(one),
    "for blocked jobs": lambda queue, one: (queue.jobs.blocked.all(), queue.jobs.blocked.count(cap=1000)),
    "for jobs that a process holds": lambda queue, one: release(one, NOBODY),
    "for jobs that nobody knows of": lambda queue, one: fail_unknown(one, NOBODY, (), LOST, queue.definitions, older_than=60),
    "for jobs of processes that are gone": lambda queue, one: fail_orphans(one, LOST, queue.definitions),
    "for jobs that run": lambda queue, one: queue.jobs.claimed.all(),
    "of the dashboard for blocked jobs": lambda queue, one: listed(one, LISTINGS[State.BLOCKED], Filters(), limit=25),
    "of the dashboard for jobs that run": lambda queue, one: listed(one, LISTINGS[State.CLAIMED], Filters(), limit=25),
    "for the size of a queue": lambda queue, one: queue.queues["n"].size,
    "for the latency of a queue": lambda queue, one: queue.queues["n"].latency,
    "for the latency of a long queue": lambda queue, one: queue.queues["other"].latency,
    "for what is wrong": lambda queue, one: queue.health(),
    "for the ready jobs of a queue": lambda queue, one: queue.jobs.ready.where(queue="n").count(),
    "for what finished long ago": lambda queue, one: queue.jobs.finished.where(finished_before=LONG_AGO).count(),
    "for what will have finished": lambda queue, one: queue.jobs.finished.where(finished_after=SOON).count(),
    "of the dashboard for what has ended": lambda queue, one: throughput(one, [SOON, SOON + timedelta(hours=1)]),
    "of the dashboard for what finished long ago": lambda queue, one: count_matching(one, LISTINGS[State.FINISHED], BEFORE),
    "of the dashboard for a queue": lambda queue, one: find_queue(one, "n"),
}
BEFORE = Filters(values={"finished_before": LONG_AGO})
#: What finds a handful of rows, in pages, rows and instructions. To go through an index takes several times as much.
LITTLE = {"postgresql": 40, "mariadb": 50, "sqlite": 1_000}


@pytest.mark.behaviour("C17")
def test_a_look_reads_no_more_than_it_is_about(
    app: Flask, queue: FlaskQueue, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL makes no use of what a partial index implies, and would read it from one end to the other."""
    monkeypatch.setattr(queues, "LOOKED_AT", 2)
    fill(queue, ready=20_000, scheduled=20_000, finished=20_000)
    with queue.database.begin() as connection:
        for state, moment in {"scheduled": {"scheduled_at": now_plus(jobs.c.id)}, "finished": {"finished_at": now()}}.items():
            connection.execute(jobs.update().values(**moment).where(jobs.c.state == state))
    analyze(queue)
    reads = {name: _effort_of(queue, look) for name, look in LOOKS.items()}
    job = limited(queue)
    queue.enqueue_all([job.build("key") for _ in range(5_000)])
    analyze(queue)
    reads["for a slot that is free"] = _effort_of(queue, lambda queue, one: unblock(one, ["limited/key"], queue.definitions))
    assert {name: read for name, read in reads.items() if read >= LITTLE[database_name]} == {}


def _effort_of(queue: FlaskQueue, look: Callable[[FlaskQueue, Connection], Any]) -> int:
    """How much the most laborious of its statements reads."""
    with statements_of(queue.database) as statements, queue.database.connect() as connection:
        look(queue, connection)
    return max(effort(queue.database, text, parameters) for text, parameters in statements if "queue_jobs" in text)


@pytest.mark.behaviour("C17")
def test_long_lines_of_keys_are_not_read_when_nobody_has_counted_them(
    app: Flask, queue: FlaskQueue, database_name: str
) -> None:
    """PostgreSQL counted when no job was blocked: it read all of them to find a key, and all of a key to count who holds it."""
    fill(queue, finished=20_000)
    job = limited(queue)
    queue.enqueue_all([job.build(f"key-{number % 50}") for number in range(5_000)])
    looks: list[Callable[[Connection], Any]] = [
        lambda one: blocked_keys(one, limit=5),
        lambda one: first_in_lines(one, ["limited/key-0"]),
        lambda one: unblock(one, ["limited/key-0"], queue.definitions),
        lambda one: Slots(one, ["limited/key-0"]).free("limited/key-0", 1),
    ]
    reads = [_effort_of(queue, lambda queue, one, look=look: look(one)) for look in looks]  # type: ignore[misc]
    assert [read for read in reads if read >= LITTLE[database_name]] == []


@pytest.mark.behaviour("C17")
@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("is_known", [False, True], ids=["just filled", "analyzed"])
def test_jobs_of_one_kind_are_found_in_one_pass_over_the_line(app: Flask, queue: FlaskQueue, is_known: bool) -> None:
    """With a join the planner compared each job that it had found with all of the others: 5,000 times for 97 jobs."""
    job = plain(queue)
    queue.enqueue_all([job.build(number) for number in range(5_000)])
    if is_known:
        analyze(queue)
    worker = WorkerByHand(queue)
    with statements_of(queue.database) as statements:
        found = queue.database.transact(
            lambda one: claim(one, ALL, limit=97, process_id=worker.id, kinds=Kinds(("job",), only=True))
        )
    assert len(found) == 97
    [(text, parameters)] = [(text, parameters) for text, parameters in statements if text.startswith("UPDATE")]
    with queue.database.begin() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {text}", parameters).scalars().all()
    read = [int(rows) * int(loops) for step in steps for rows, loops in re.findall(r"actual .* rows=(\d+) loops=(\d+)", step)]
    removed = [int(number) for step in steps for number in re.findall(r"Rows Removed by Join Filter: (\d+)", step)]
    assert max(read) < 300, steps
    assert sum(removed) == 0, steps


@pytest.mark.behaviour("C17")
@pytest.mark.databases("postgresql")
def test_each_job_of_a_window_is_looked_up_by_its_id(app: Flask, queue: FlaskQueue) -> None:
    """PostgreSQL counted when no job was ready, and took it that none was: it read all of them for each of a thousand."""
    fill(queue, finished=20_000)
    job = plain(queue)
    queue.enqueue_all([job.build(number) for number in range(5_000)])
    worker = WorkerByHand(queue)
    kinds = Kinds(("another",), only=True)
    with statements_of(queue.database) as statements:
        assert not queue.database.transact(lambda one: claim(one, ALL, limit=97, process_id=worker.id, kinds=kinds))
    [(text, parameters)] = [each for each in statements if "queue_jobs" in each[0]]
    assert effort(queue.database, text, parameters) < 6_000  # 1,000 times down a tree of three levels, and into the table
