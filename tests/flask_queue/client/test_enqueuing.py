"""The way of a job into the database: what is refused, what a refusal leaves behind, and what an outage does to callers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from flask_queue import Concurrency, FlaskQueue
from flask_queue.client import JobHandle
from flask_queue.errors import ArgumentError, ConcurrencyKeyError, EnqueueError, NoApplication, NotInitialized, QueueError
from tests.flask_queue.operations.declared import limited, plain
from tests.flask_queue.relay import Relay
from tests.harness.databases import connect, create_tables
from tests.harness.tables import Tables

#: Every way to enqueue a job.
WAYS: dict[str, Callable[[FlaskQueue, Any], Any]] = {
    "enqueue": lambda queue, job: job.enqueue(1),
    "enqueue later": lambda queue, job: job.using(wait=60).enqueue(1),
    "enqueue_all": lambda queue, job: queue.enqueue_all([job.build(1), job.build(2)]),
    "run_now of a task": lambda queue, job: queue.recurring_tasks["task"].run_now(),
}


@pytest.mark.behaviour("A4")
@pytest.mark.parametrize("way", ["enqueue", "enqueue later", "enqueue_all"])
@pytest.mark.parametrize("declare", [plain, limited])
def test_what_the_database_refuses_is_an_enqueue_error(
    app: Flask,
    queue: FlaskQueue,
    tables: Tables,
    database_url: str,
    way: str,
    declare: Callable[[FlaskQueue], Any],
) -> None:
    job = declare(queue)
    with refusing_jobs(database_url), pytest.raises(EnqueueError, match=r"^\w+Error: .*refused") as caught:
        WAYS[way](queue, job)
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert type(caught.value.__cause__).__name__ in str(caught.value)
    assert not tables.jobs()


@pytest.mark.behaviour("G3")
def test_many_are_enqueued_all_or_none(app: Flask, queue: FlaskQueue, tables: Tables, database_url: str) -> None:
    job = plain(queue)
    handles = [job.build(n) for n in range(1000)]
    with refusing_jobs(database_url, "499"), pytest.raises(EnqueueError):
        queue.enqueue_all(handles)
    assert not tables.jobs()
    assert not any(handle.enqueued for handle in handles)
    with pytest.raises(ArgumentError):
        queue.enqueue_all([*handles, job.build(object())])  # type: ignore[arg-type]
    assert not tables.jobs()
    assert queue.enqueue_all(handles) == 1000


@contextmanager
def refusing_jobs(url: str, arguments: str = "") -> Iterator[None]:
    """A trigger under which no job can be written, or none with this text in its arguments."""
    condition = f"NEW.arguments LIKE '%%{arguments}%%'"
    mysql = [
        f"CREATE TRIGGER refusing BEFORE INSERT ON queue_jobs FOR EACH ROW IF {condition} THEN"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF"
    ]
    statements = {
        "sqlite": [
            f"CREATE TRIGGER refusing BEFORE INSERT ON queue_jobs WHEN {condition} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        ],
        "postgresql": [
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
            f"CREATE TRIGGER refusing BEFORE INSERT ON queue_jobs FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()",
        ],
        "mysql": mysql,
        "mariadb": mysql,
    }
    with connect(url) as connection:
        for statement in statements[connection.dialect.name]:
            connection.execute(text(statement.replace("%%", "%")))
    yield
    with connect(url) as connection:
        table = " ON queue_jobs" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER refusing{table}")


@pytest.mark.behaviour("A4", "N4")
@pytest.mark.parametrize("way", ["enqueue", "enqueue later", "enqueue_all"])
def test_missing_tables_name_the_command_that_makes_them(
    empty_database_url: str, make_app: Callable[..., Flask], queue: FlaskQueue, way: str
) -> None:
    job = plain(queue)
    app = make_app(SQLALCHEMY_BINDS={"queue": empty_database_url})
    with app.app_context(), pytest.raises(EnqueueError, match="flask db upgrade"):
        WAYS[way](queue, job)


@pytest.mark.behaviour("A7")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("argument", [object(), lambda: None, float("nan"), {1, object()}, open])
def test_an_argument_that_cannot_travel_is_refused(app: Flask, queue: FlaskQueue, tables: Tables, argument: Any) -> None:
    job = plain(queue)
    with pytest.raises(ArgumentError):
        job.enqueue(argument)
    with pytest.raises(ArgumentError):
        queue.enqueue_all([job.build(1), job.build(argument)])
    assert not tables.jobs()


@pytest.mark.behaviour("F24")
def test_a_key_function_that_raises_is_an_error_of_the_caller(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    @queue.job(name="job", concurrency=Concurrency(key=lambda number: 1 // number))
    def job(number: int) -> None: ...

    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @queue.job(name="other", concurrency=Concurrency(key=lambda number: Unspeakable()))
    def other(number: int) -> None: ...

    for failing in (job, other):
        with pytest.raises(ConcurrencyKeyError, match=rf"'{failing.name}' raised \w+Error"):
            failing.enqueue(0)
        with pytest.raises(ConcurrencyKeyError):
            queue.enqueue_all([job.build(1), failing.build(0)])
    assert not tables.jobs()


@pytest.mark.behaviour("Q4")
def test_enqueuing_outside_an_application_says_what_to_do(queue: FlaskQueue) -> None:
    job = plain(queue)
    with pytest.raises(NoApplication, match="app_context"):
        job.enqueue(1)
    with Flask("another", root_path=str(Path(__file__).parent)).app_context(), pytest.raises(NotInitialized, match="init_app"):
        job.enqueue(1)


def test_a_handle_of_a_row_cannot_be_enqueued_again(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    plain(queue).enqueue(1)
    [handle] = queue.jobs.ready
    assert queue.enqueue_all([handle]) == 0
    with pytest.raises(QueueError, match="cannot be enqueued again"):
        queue.publish(handle)
    assert len(tables.jobs()) == 1


@pytest.mark.behaviour("A4")
@pytest.mark.databases("postgresql", "mariadb")
def test_of_a_connection_that_broke_it_is_said_that_the_job_may_be_there(
    relay: Relay, make_app: Callable[..., Flask], queue: FlaskQueue
) -> None:
    job = plain(queue)
    with make_app(SQLALCHEMY_BINDS={"queue": relay.url}).app_context():
        job.enqueue(1)
        relay.close()
        with pytest.raises(EnqueueError, match=r"nobody can tell whether the job was written\.$"):
            job.enqueue(2)
        with pytest.raises(EnqueueError) as refused:
            job.enqueue(3)
        assert "nobody can tell" not in str(refused.value), "there was no connection to break"


@pytest.mark.databases("sqlite")
def test_what_is_in_the_queue_is_not_published_once_more(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue(1)
    assert queue.publish(handle) is handle
    assert len(tables.jobs()) == 1


@pytest.mark.behaviour("G3")
@pytest.mark.parametrize("option", [None, "after_commit", "transactional"])
def test_a_handle_given_twice_is_refused_before_anything_is_written(
    make_app: Callable[..., Flask], db: SQLAlchemy, queue: FlaskQueue, tables: Tables, database_url: str, option: str | None
) -> None:
    """Of two jobs it could tell one only."""
    job = plain(queue)
    with make_app(SQLALCHEMY_DATABASE_URI=database_url, SQLALCHEMY_BINDS={}, QUEUE_BIND_KEY=None).app_context():
        configured: Any = job.using(**{option: True}) if option else job
        one, other = (configured.build(number) for number in (7, 8))
        db.session.connection()
        with pytest.raises(EnqueueError, match=r"more than once: job\(7\)\. .* `build` .* Nothing was written"):
            queue.enqueue_all(iter([one, other, job.build(9), one]))
        db.session.commit()
        assert not tables.jobs()
        assert not any(handle.enqueued for handle in (one, other))

        assert queue.enqueue_all([one, other]) == 2
        db.session.commit()
        assert queue.enqueue_all([one, one, other]) == 0, "what is in the queue stays as it is"
        db.session.commit()
        assert [tables.job(handle.id).arguments for handle in (one, other)] == ["[7]", "[8]"]
        assert len(tables.jobs()) == 2


@pytest.mark.databases("sqlite")
@pytest.mark.behaviour("G3")
@pytest.mark.parametrize("stranger", [1, None, "job", len])
def test_what_is_no_handle_is_refused_before_anything_is_written(
    app: Flask, queue: FlaskQueue, tables: Tables, stranger: Any
) -> None:
    job = plain(queue)
    with pytest.raises(EnqueueError, match="takes handles made with `build`, not "):
        queue.enqueue_all([job.build(1), stranger])
    with pytest.raises(EnqueueError, match="not <JobDefinition job>"):
        queue.enqueue_all([job])  # type: ignore[list-item]
    assert tables.jobs() == []


@pytest.mark.databases("sqlite")
def test_an_error_of_whoever_gives_the_handles_is_passed_on(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    with pytest.raises(AttributeError, match="no attribute 'number'"):
        queue.enqueue_all(job.build(thing.number) for thing in [object()])  # type: ignore[attr-defined]


@pytest.mark.databases("sqlite")
def test_what_is_said_of_a_handle_given_twice_is_short_and_hides_what_is_filtered(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(name="job")
    def job(password: str, text: str) -> None: ...

    with pytest.raises(EnqueueError, match=r'job\(\[FILTERED\], "xxx.*…\. A handle') as caught:
        queue.enqueue_all([job.build("s3cret", "x" * 10_000)] * 3)
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_events_tell_of_what_was_enqueued(app: Flask, queue: FlaskQueue) -> None:
    facts: list[tuple[str, dict[str, Any]]] = []
    queue.events.subscribe(lambda name, payload: facts.append((name, payload)))
    only = limited(queue, on_conflict="discard")
    handle = only.using(queue="mail").enqueue("a")
    only.enqueue("a")
    handles = [only.build("a"), only.build("b")]
    queue.enqueue_all(handles)
    assert facts == [
        ("enqueue", {"job_id": handle.id, "name": "limited", "queue": "mail"}),
        ("enqueue", {"job_id": None, "name": "limited", "queue": "default"}),
        ("enqueue_all", {"job_ids": [None, handles[1].id], "size": 1}),
    ]


@pytest.mark.databases("sqlite")
def test_a_listener_that_raises_stops_nothing_and_the_others_hear_of_it(app: Flask, queue: FlaskQueue) -> None:
    error = ValueError("on purpose")
    facts: list[tuple[str, dict[str, Any]]] = []

    def broken(name: str, payload: dict[str, Any]) -> None:
        raise error

    queue.events.subscribe(broken)
    queue.events.subscribe(lambda name, payload: facts.append((name, payload)))
    handle = plain(queue).enqueue()
    assert facts == [
        ("thread_error", {"error": error, "handled": False}),
        ("enqueue", {"job_id": handle.id, "name": "job", "queue": "default"}),
    ]


# --- outages --------------------------------------------------------------------------------------------


@pytest.mark.behaviour("A12")
@pytest.mark.databases("postgresql", "mariadb")
def test_callers_are_told_of_an_outage_at_once_and_served_again_after_it(
    relay: Relay, make_app: Callable[..., Flask], queue: FlaskQueue, tables: Tables
) -> None:
    job, narrow = plain(queue), limited(queue)
    app = make_app(SQLALCHEMY_BINDS={"queue": relay.url})
    with app.app_context():
        job.enqueue(1)
        narrow.enqueue("a")
        relay.close()
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(EnqueueError):
                job.enqueue(2)
            with pytest.raises(EnqueueError):
                narrow.enqueue("b")
            assert time.monotonic() - started < 5
        relay.open()
        assert job.enqueue(3).status == "ready"
        assert narrow.enqueue("c").status == "ready"
    assert [queue_text(row.arguments) for row in tables.jobs()] == ["[1]", '["a"]', "[3]", '["c"]']


def queue_text(arguments: str) -> str:
    import json

    return json.dumps(json.loads(arguments)["args"]) if arguments.startswith("{") else arguments


@pytest.mark.behaviour("A12")
@pytest.mark.databases("postgresql", "mariadb")
def test_connections_that_broke_unnoticed_trouble_nobody(
    relay: Relay, make_app: Callable[..., Flask], queue: FlaskQueue, tables: Tables
) -> None:
    """The server was restarted while nobody asked it anything."""
    job, narrow = plain(queue), limited(queue)
    app = make_app(SQLALCHEMY_BINDS={"queue": relay.url})
    with app.app_context():
        handle = job.enqueue(1)
        narrow.enqueue("a")
        relay.close()
        relay.open()
        time.sleep(1.1)  # a connection that was used a moment ago is taken to be alive
        assert handle.status == "ready"
        assert job.enqueue(2).enqueued
        assert narrow.enqueue("b").enqueued


@pytest.mark.behaviour("A12")
@pytest.mark.databases("sqlite")
def test_a_file_that_cannot_be_opened_is_told_and_found_again(
    database_name: str, tmp_path: Path, make_app: Callable[..., Flask], queue: FlaskQueue
) -> None:
    job = plain(queue)
    url = f"sqlite:///{tmp_path / 'missing' / 'queue.sqlite3'}"
    app = make_app(SQLALCHEMY_BINDS={"queue": url})
    with app.app_context():
        with pytest.raises(EnqueueError, match="unable to open"):
            job.enqueue(1)
        (tmp_path / "missing").mkdir()
        create_tables(url)
        assert job.enqueue(1).status == "ready"


@pytest.mark.behaviour("A1")
def test_a_handle_without_a_row_knows_what_was_asked_of_it(app: Flask, queue: FlaskQueue) -> None:
    handle: JobHandle = plain(queue).using(queue="mail", priority=3).build(1)
    assert (handle.id, handle.enqueued, handle.status) == (None, False, None)
    assert (handle.name, handle.queue, handle.priority) == ("job", "mail", 3)
    assert repr(handle) == "<JobHandle None job>"
    for act in (handle.retry, handle.discard, handle.run_now):
        with pytest.raises(QueueError, match="not in the queue"):
            act()
