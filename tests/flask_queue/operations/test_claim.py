"""From ready to claimed: in which order, from which queues, and never twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, event

from flask_queue import FlaskQueue
from flask_queue.database import Database
from flask_queue.jobs.definition import JobDefinition
from flask_queue.operations.claim import WINDOW, Claim, claim
from flask_queue.operations.selectors import Selector
from tests.harness.tables import Tables

from .by_hand import WorkerByHand
from .declared import coroutine, limited, plain
from .interleaving import Aside, at_once, times
from .plans import fill

ALL = Selector.parse(["*"])


@pytest.fixture
def job(queue: FlaskQueue) -> JobDefinition[[], None]:
    @queue.job(name="job")
    def job() -> None: ...

    return job


@pytest.fixture
def put(app: Flask, job: JobDefinition[[], None]) -> Callable[..., int]:
    """Enqueue a job; its id."""

    def put(queue: str = "default", priority: int = 0) -> int:
        handle = job.using(queue=queue, priority=priority).enqueue()
        assert handle.id is not None
        return handle.id

    return put


@pytest.mark.behaviour("C1")
def test_a_worker_gets_what_there_is(queue: FlaskQueue, put: Callable[..., int], tables: Tables) -> None:
    for _ in range(5):
        put()
    assert len(WorkerByHand(queue).claim(6)) == 5
    assert tables.states() == {"claimed": 5}


@pytest.mark.behaviour("C1")
def test_a_worker_gets_no_more_than_it_asks_for(queue: FlaskQueue, put: Callable[..., int], tables: Tables) -> None:
    ids = {priority: put(priority=priority) for priority in (5, 3, 1, 4, 2)}
    assert WorkerByHand(queue).claim_ids(2) == [ids[1], ids[2]]
    assert tables.states() == {"claimed": 2, "ready": 3}
    assert WorkerByHand(queue).claim_ids(0) == []


@pytest.mark.behaviour("C1")
def test_what_a_worker_is_told_is_what_is_stored(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    limited(queue).using(queue="mail", priority=3).enqueue("key")
    claim = WorkerByHand(queue).claim_one()
    [row] = tables.jobs()
    assert claim == tuple(getattr(row, name) for name in ("id", *Claim._fields[1:]))
    assert row.state == "claimed"


@pytest.mark.behaviour("C2")
def test_the_smaller_number_goes_first_and_then_the_older_job(queue: FlaskQueue, put: Callable[..., int]) -> None:
    late, first, second, urgent = put(priority=1), put(), put(), put(priority=-1)
    worker = WorkerByHand(queue)
    assert [worker.claim_ids()[0] for _ in range(4)] == [urgent, first, second, late]


@pytest.mark.behaviour("C2")
def test_the_order_holds_within_one_claim_too(queue: FlaskQueue, put: Callable[..., int]) -> None:
    late, first, second, urgent = put(priority=1), put(), put(), put(priority=-1)
    assert WorkerByHand(queue).claim_ids(4) == [urgent, first, second, late]


@pytest.mark.behaviour("C3")
def test_the_order_of_queues_beats_priorities(queue: FlaskQueue, put: Callable[..., int]) -> None:
    backend = [put("backend", priority) for priority in (5, 4, 3, 2, 1)]
    background = put("background", 10)
    worker = WorkerByHand(queue, "background", "backend")
    assert worker.claim_ids(3) == [background, backend[4], backend[3]]


@pytest.mark.behaviour("C4")
@pytest.mark.parametrize("queues", [("*",), ("*", "backend"), ("backend", "*"), ("back*", "*")])
def test_a_star_is_every_queue_by_priority_alone(queue: FlaskQueue, put: Callable[..., int], queues: tuple[str, ...]) -> None:
    last, first = put("backend", 2), put("other", 1)
    assert WorkerByHand(queue, *queues).claim_ids(2) == [first, last]


@pytest.mark.behaviour("C5")
def test_a_prefix_is_the_queues_that_begin_so(queue: FlaskQueue, put: Callable[..., int], tables: Tables) -> None:
    for _ in range(5):
        put("backend")
    wanted = put("background")
    worker = WorkerByHand(queue, "backgr*")
    assert worker.claim_ids(6) == [wanted]
    assert tables.states() == {"claimed": 1, "ready": 5}


@pytest.mark.behaviour("C5")
def test_a_prefix_of_nothing_is_no_queue(queue: FlaskQueue, put: Callable[..., int]) -> None:
    put("backend")
    assert WorkerByHand(queue, "mail*").claim_ids(6) == []


@pytest.mark.behaviour("C5")
def test_prefixes_are_text_and_not_patterns(queue: FlaskQueue, put: Callable[..., int]) -> None:
    for name in ("axb", "a_c", "a%c", "A_b", "á_b", "a-b", "ab", "a b", "a.b"):
        put(name)
    wanted = {name: put(name) for name in ("a_b", "a%b")}
    assert WorkerByHand(queue, "a%b*", "a_b*").claim_ids(9) == [wanted["a%b"], wanted["a_b"]]


@pytest.mark.behaviour("C6")
@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        (["queue_b*", "queue_a*"], "b1 b1 b2 b2 a1 a1 a2 a2"),
        (["queue_a2", "queue_c1", "queue_b*", "queue_c2", "queue_a*"], "a2 a2 c1 b1 b1 b2 b2 c2 a1 a1"),
    ],
    ids=["prefixes", "mixed"],
)
def test_names_and_prefixes_keep_their_order(
    queue: FlaskQueue, put: Callable[..., int], queues: list[str], expected: str
) -> None:
    names = ["b1", "b2", "a2", "a1", "b1", "a2", "b2", "a1"]
    if "c1" in expected:
        names += ["c1", "c2"]
    for name in names:
        put(f"queue_{name}")
    worker = WorkerByHand(queue, *queues)
    claimed = []
    while claims := worker.claim(2):
        claimed += [claim.queue_name.removeprefix("queue_") for claim in claims]
    assert " ".join(claimed) == expected


@pytest.mark.behaviour("C7")
@pytest.mark.parametrize("queues", [("*",), ("mail*",), ("mail",), ("mail", "other")], ids=" ".join)
def test_a_paused_queue_is_left_alone(queue: FlaskQueue, put: Callable[..., int], queues: tuple[str, ...]) -> None:
    mail, other = put("mail"), put("other")
    worker = WorkerByHand(queue, *queues)
    queue.queues["mail"].pause()
    assert mail not in worker.claim_ids(5)
    queue.queues["mail"].resume()
    assert worker.claim_ids(5) == [mail]
    assert (WorkerByHand(queue).claim_ids(5) == [other]) is (queues in [("mail*",), ("mail",)])


@pytest.mark.behaviour("C7")
def test_a_pause_counts_from_the_moment_it_is_committed(app: Flask, queue: FlaskQueue, put: Callable[..., int]) -> None:
    """Whoever looked up the names of the queues before the pause gets nothing after it."""
    put("mail")
    worker = WorkerByHand(queue)

    class Stale(Selector):
        def names(self, connection: Connection) -> list[str]:
            return ["mail"]

    queue.queues["mail"].pause()
    with queue.database.begin() as connection:
        assert claim(connection, Stale(("mail",)), limit=1, process_id=worker.id) == []


@pytest.mark.behaviour("C12")
def test_a_process_without_a_registration_gets_nothing(queue: FlaskQueue, put: Callable[..., int], tables: Tables) -> None:
    put()
    worker = WorkerByHand(queue)
    worker.vanish()
    assert worker.claim(5) == []
    with queue.database.begin() as connection:
        assert claim(connection, Selector.parse(["default"]), limit=5, process_id=worker.id) == []
    assert tables.states() == {"ready": 1}


@pytest.mark.behaviour("C10")
def test_a_job_is_never_claimed_twice(app: Flask, queue: FlaskQueue, job: JobDefinition[[], None], tables: Tables) -> None:
    queue.enqueue_all([job.build() for _ in range(300)])
    workers = [WorkerByHand(queue, *queues) for queues in (("*",), ("default",), ("def*",), ("*",))]

    def work(worker: WorkerByHand) -> list[int]:
        claimed: list[int] = []
        while ids := worker.claim_ids(7):
            claimed += ids
        return claimed

    claimed = at_once(app, *(lambda worker=worker: work(worker) for worker in workers))  # type: ignore[misc]
    everything = [job_id for ids in claimed for job_id in ids]
    # A look at rows that another worker is just claiming may find nothing; what was left ready then is there for the next.
    everything += workers[0].claim_ids(300)
    assert len(everything) == len(set(everything)) == 300
    assert {row.process_id for row in tables.jobs()} <= {worker.id for worker in workers}


@pytest.mark.databases("sqlite")
def test_threads_that_share_a_database_in_memory_take_turns(
    make_app: Callable[..., Flask], db: SQLAlchemy, queue: FlaskQueue
) -> None:
    app = make_app(SQLALCHEMY_BINDS={"queue": "sqlite://"})
    with app.app_context():
        db.create_all("queue")
        job = plain(queue)
        enqueued = [job.enqueue().id for _ in range(300)]
        worker = WorkerByHand(queue)
        claimed = at_once(app, *times(3, lambda: [worker.claim_ids(2) for _ in range(50)]))
    assert sorted(job_id for each in claimed for ids in each for job_id in ids) == enqueued


@pytest.mark.behaviour("C11")
def test_the_loser_of_a_claim_changes_nothing(app: Flask, queue: FlaskQueue, put: Callable[..., int], tables: Tables) -> None:
    first, second = put(), put()
    winner, loser = WorkerByHand(queue), WorkerByHand(queue)
    with queue.database.begin() as connection:
        assert [found.job_id for found in claim(connection, ALL, limit=1, process_id=winner.id)] == [first]
        late = Aside(app, lambda: loser.claim_ids(5))
        late.is_held_up()  # on SQLite until we are through; elsewhere it passes over the row that is ours
    assert late.result() == [second]
    assert {row.id: row.process_id for row in tables.jobs()} == {first: winner.id, second: loser.id}


@pytest.mark.behaviour("C11")
def test_a_claim_that_is_rolled_back_leaves_the_job_ready(
    app: Flask, queue: FlaskQueue, put: Callable[..., int], tables: Tables
) -> None:
    job_id = put()
    worker = WorkerByHand(queue)
    with suppress(LookupError), queue.database.begin() as connection:
        assert claim(connection, ALL, limit=1, process_id=worker.id)
        raise LookupError
    assert tables.states() == {"ready": 1}
    assert worker.claim_ids() == [job_id]


def test_what_a_worker_gets_is_all_of_the_job(queue: FlaskQueue, put: Callable[..., int], tables: Tables) -> None:
    job_id = put("mail", 4)
    worker = WorkerByHand(queue)
    claim = worker.claim_one()
    row = tables.job(job_id)
    assert (claim.job_id, claim.name, claim.queue_name, claim.priority) == (job_id, "job", "mail", 4)
    assert claim.arguments == row.arguments
    assert (row.state, row.process_id) == ("claimed", worker.id)
    assert row.claimed_at >= row.created_at


@pytest.mark.behaviour("C1")
def test_threads_and_coroutines_get_as_many_as_there_is_room_for(app: Flask, queue: FlaskQueue) -> None:
    """Whatever the kinds of jobs that came before, and though a claim for both at once would take more than one statement."""
    thread, loop = plain(queue, "thread"), coroutine(queue, "loop")
    worker = WorkerByHand(queue)

    def claimed(threads: int, coroutines: int) -> list[str]:
        return [claim.name for claim in worker.claim(threads, coroutines=coroutines)]

    queue.enqueue_all([*(thread.build() for _ in range(5)), *(loop.build() for _ in range(30)), thread.build()])
    assert claimed(3, 9) == ["thread"] * 3
    assert claimed(3, 9) == ["thread"] * 2 + ["loop"] * 9  # that there are coroutines shows on the way
    assert claimed(3, 9) == ["loop"] * 9
    assert claimed(3, 0) == ["thread"]
    assert claimed(0, 9) == ["loop"] * 9
    assert claimed(3, 9) == ["loop"] * 3
    assert claimed(3, 9) == []
    thread.enqueue()
    loop.enqueue()
    assert claimed(3, 9) == ["thread", "loop"]
    queue.enqueue_all(thread.build() for _ in range(9))
    assert claimed(8, 3) == ["thread"] * 8  # though there is little room for the others


@pytest.mark.behaviour("C7")
def test_jobs_of_one_kind_are_found_behind_a_paused_queue(app: Flask, queue: FlaskQueue) -> None:
    """All threads are taken for long, and the window that is searched for coroutines is full of what is paused."""
    thread, loop = plain(queue), coroutine(queue)
    queue.enqueue_all([thread.using(queue="bulk").build() for _ in range(WINDOW + 1)])
    queue.queues["bulk"].pause()
    thread.enqueue()
    loop.enqueue()
    worker = WorkerByHand(queue)
    worker.knows(paused=True)
    assert [claim.name for claim in worker.claim(0, coroutines=5)] == ["coroutine"]
    assert [claim.name for claim in worker.claim(5, coroutines=0)] == ["job"]


@pytest.mark.behaviour("C2", "C7")
@pytest.mark.parametrize("seed", range(5))
def test_to_go_around_paused_queues_finds_the_same_jobs(queue: FlaskQueue, put: Callable[..., int], seed: int) -> None:
    chance = random.Random(seed)
    names = [f"q{number}" for number in range(6)]
    for _ in range(60):
        put(chance.choice(names), chance.randrange(4))
    for name in chance.sample(names, seed):
        queue.queues[name].pause()
    worker = WorkerByHand(queue)
    for limit in (1, 3, 10, 100):
        found = []
        for around in (False, True):
            with suppress(LookupError), queue.database.begin() as connection:
                claims = claim(connection, ALL, limit=limit, process_id=worker.id, around=around)
                found.append([one.job_id for one in claims])
                raise LookupError  # as if it had not been
        assert found[0] == found[1]


@pytest.mark.behaviour("C7", "C17")
@pytest.mark.databases("sqlite")
def test_workers_do_not_read_what_waits_in_a_paused_queue(app: Flask, queue: FlaskQueue) -> None:
    """A queue is paused in an emergency, and then its line grows long. Counted in hundreds of SQLite's own steps."""
    fill(queue, ready=20_000)
    steps: list[int] = []
    queue.database.dispose()
    event.listen(queue.database.engine, "connect", lambda one, record: one.set_progress_handler(lambda: steps.append(1), 100))
    queue.queues["other"].pause()
    queue.queues["mail"].pause()
    put_last = plain(queue, "last").using(queue="third", priority=99).enqueue()
    worker = WorkerByHand(queue)
    del steps[:]
    assert worker.looks()
    assert worker.claim_ids(5) == [put_last.id]
    assert not worker.looks()
    assert worker.claim_ids(5) == []
    assert 0 < len(steps) < 50


@pytest.mark.behaviour("R4", "C10")
@pytest.mark.databases("postgresql", "mariadb")
def test_without_skip_locked_there_is_still_one_winner(
    app: Flask, queue: FlaskQueue, put: Callable[..., int], tables: Tables
) -> None:
    """Where a database waits for locked rows rather than pass them over, a claim takes longer and is no less exact."""
    for _ in range(40):
        put()
    without = Database(queue.database.bind_engine)
    event.listen(without.engine, "before_cursor_execute", _wait_for_locks, retval=True)
    workers = [WorkerByHand(queue) for _ in range(3)]

    def work(worker: WorkerByHand) -> list[int]:
        claimed: list[int] = []
        while found := without.transact(lambda connection: claim(connection, ALL, limit=5, process_id=worker.id)):
            claimed += [one.job_id for one in found]
        return claimed

    claimed = at_once(app, *(lambda worker=worker: work(worker) for worker in workers))  # type: ignore[misc]
    without.dispose()
    everything = [job_id for ids in claimed for job_id in ids] + workers[0].claim_ids(40)
    assert len(everything) == len(set(everything)) == 40


def _wait_for_locks(connection: object, cursor: object, statement: str, parameters: Any, *more: object) -> tuple[str, Any]:
    return statement.replace(" SKIP LOCKED", ""), parameters


def test_claims_by_several_threads_of_one_worker(app: Flask, queue: FlaskQueue, put: Callable[..., int]) -> None:
    for _ in range(30):
        put()
    worker = WorkerByHand(queue)
    claimed = [job_id for ids in at_once(app, *times(3, lambda: worker.claim_ids(10))) for job_id in ids]
    claimed += worker.claim_ids(30)
    assert len(claimed) == len(set(claimed)) == 30
