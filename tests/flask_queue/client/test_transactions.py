"""Jobs and the application's own transaction: apart from it, published by its commit, or inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func, select, text

from flask_queue import FlaskQueue
from flask_queue.client import JobHandle
from flask_queue.client.transactions import on_commit
from flask_queue.errors import ConfigurationError, EnqueueError, QueueError
from flask_queue.jobs.definition import JobDefinition
from tests.flask_queue.operations.declared import limited, plain
from tests.flask_queue.operations.interleaving import Aside, at_once
from tests.harness.databases import connect
from tests.harness.tables import Tables


class Pages:
    """The application's own table, in its primary database."""

    def __init__(self, db: SQLAlchemy) -> None:
        self.db = db
        self.table = db.Table("pages", db.Column("id", db.Integer, primary_key=True))

    def create(self) -> None:
        self.db.create_all(None)

    def write(self) -> None:
        self.db.session.execute(self.table.insert().values())

    def count(self) -> int:
        with self.db.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(self.table)) or 0


@pytest.fixture
def pages(db: SQLAlchemy) -> Pages:
    return Pages(db)


@pytest.fixture
def two(pages: Pages, app: Flask) -> Flask:
    """An application whose queue has a database of its own."""
    pages.create()
    return app


@pytest.fixture
def one(pages: Pages, database_url: str, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    """An application that shares its database with its queue."""
    app = make_app(QUEUE_BIND_KEY=None, SQLALCHEMY_DATABASE_URI=database_url)
    with app.app_context():
        pages.create()
        yield app
        pages.db.session.remove()
        with connect(database_url) as connection:
            connection.execute(text("DROP TABLE pages"))


@pytest.fixture(params=["two", "one"])
def either(request: pytest.FixtureRequest) -> Flask:
    """Both kinds of application in turn."""
    app = request.getfixturevalue(request.param)
    assert isinstance(app, Flask)
    return app


@pytest.fixture
def job(queue: FlaskQueue) -> JobDefinition[[int], None]:
    return plain(queue)


# --- apart from it --------------------------------------------------------------------------------------


@pytest.mark.behaviour("A5", "Q3")
def test_a_rollback_of_the_application_loses_no_job(
    two: Flask, db: SQLAlchemy, pages: Pages, job: JobDefinition[[int], None], tables: Tables
) -> None:
    pages.write()
    job.enqueue(1)
    db.session.rollback()
    assert (pages.count(), tables.states()) == (0, {"ready": 1})


@pytest.mark.behaviour("A5", "Q3")
def test_an_enqueue_error_leaves_the_application_its_transaction(
    two: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables
) -> None:
    pages.write()
    with pytest.raises(QueueError):
        plain(queue).enqueue(object())  # type: ignore[arg-type]
    db.session.commit()
    assert (pages.count(), tables.jobs()) == (1, [])


@pytest.mark.behaviour("A5", "Q1")
@pytest.mark.databases("sqlite")
def test_nobody_waits_for_the_lock_that_its_own_transaction_holds(
    one: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, job: JobDefinition[[int], None], tables: Tables
) -> None:
    """It would for half a minute, and in vain."""
    db.session.execute(select(pages.table)).all()
    job.enqueue(1)  # to read is to hold nothing
    pages.write()
    for enqueue in (lambda: job.enqueue(2), lambda: queue.enqueue_all([job.build(3)])):
        with pytest.raises(EnqueueError, match=r"has written to this SQLite database.*after_commit=True"):
            enqueue()
    job.using(after_commit=True).enqueue(4)
    job.using(transactional=True).enqueue(5)
    db.session.commit()
    job.enqueue(6)
    assert (pages.count(), tables.states()) == (1, {"ready": 4})


@pytest.mark.behaviour("Q2")
def test_whatever_the_session_is_bound_to_the_job_lands_in_the_queue(
    two: Flask, db: SQLAlchemy, job: JobDefinition[[int], None], tables: Tables
) -> None:
    with db.engine.connect() as connection:
        db.session.bind = connection
        job.enqueue(1)
        job.using(after_commit=True).enqueue(2)
        db.session.commit()
    assert tables.states() == {"ready": 2}


# --- published by its commit ----------------------------------------------------------------------------


@pytest.mark.behaviour("A5")
def test_the_commit_publishes_what_waits_for_it(
    either: Flask, db: SQLAlchemy, pages: Pages, job: JobDefinition[[int], None], tables: Tables
) -> None:
    pages.write()
    handle = job.using(after_commit=True).enqueue(1)
    assert (handle.id, handle.enqueued, handle.status) == (None, False, None)
    assert not tables.jobs()
    db.session.flush()
    assert not tables.jobs()
    db.session.commit()
    assert (handle.enqueued, handle.status) == (True, "ready")
    db.session.commit()
    pages.write()
    db.session.commit()
    assert len(tables.jobs()) == 1


@pytest.mark.behaviour("A5")
@pytest.mark.parametrize("end", ["rollback", "close", "remove", "invalidate"])
def test_without_a_commit_nothing_is_published(
    either: Flask, db: SQLAlchemy, pages: Pages, job: JobDefinition[[int], None], tables: Tables, end: str
) -> None:
    """Neither then nor by a later commit of the same session."""
    pages.write()
    handle = job.using(after_commit=True).enqueue(1)
    getattr(db.session() if end == "invalidate" else db.session, end)()
    pages.write()
    db.session.commit()
    assert not tables.jobs()
    assert not handle.enqueued


@pytest.mark.behaviour("A5")
def test_a_job_starts_only_when_the_row_it_is_about_can_be_seen(
    two: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables
) -> None:
    seen: list[int] = []

    @queue.job(after_commit=True)
    def count() -> None:
        seen.append(db.session.scalar(select(func.count()).select_from(pages.table)) or 0)

    for _ in range(20):
        pages.write()
        count.enqueue()
        assert queue.work() == 0
        db.session.commit()
        assert queue.work() == 1
    assert seen == list(range(1, 21))


@pytest.mark.behaviour("A5")
def test_savepoints_publish_with_the_transaction_around_them(
    two: Flask, db: SQLAlchemy, pages: Pages, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    later = job.using(after_commit=True)
    pages.write()
    later.enqueue(0)
    with db.session.begin_nested():
        later.enqueue(1)
        with suppress(LookupError), db.session.begin_nested():
            later.enqueue(2)
            raise LookupError
        with db.session.begin_nested():
            later.enqueue(3)
    lost = db.session.begin_nested()
    later.enqueue(4)
    with db.session.begin_nested():
        later.enqueue(5)
    lost.rollback()
    later.enqueue(6)
    assert not tables.jobs()
    db.session.commit()
    assert [queue.describe_arguments(row.arguments) for row in tables.jobs()] == ["0", "1", "3", "6"]


@pytest.mark.behaviour("A5")
def test_outside_a_transaction_a_job_is_published_at_once(two: Flask, job: JobDefinition[[int], None]) -> None:
    assert job.using(after_commit=True).enqueue(1).status == "ready"


@pytest.mark.behaviour("A5")
@pytest.mark.databases("sqlite")
def test_objects_that_were_only_added_are_a_transaction_already(
    make_app: Callable[..., Flask], db: SQLAlchemy, queue: FlaskQueue, tables: Tables
) -> None:
    class Page(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        size = db.Column(db.Integer)

    job = plain(queue, after_commit=True)
    with make_app().app_context():
        db.create_all(None)
        page = Page()
        db.session.add(page)
        job.enqueue(1)
        assert not tables.jobs()
        db.session.commit()
        assert len(tables.jobs()) == 1
        page.size = 5
        job.enqueue(2)
        assert len(tables.jobs()) == 1
        db.session.commit()
        assert len(tables.jobs()) == 2


@pytest.mark.behaviour("A5")
@pytest.mark.databases("sqlite")
def test_it_can_be_asked_for_by_job_by_call_and_for_the_application(
    make_app: Callable[..., Flask], db: SQLAlchemy, queue: FlaskQueue, tables: Tables
) -> None:
    unsaid, never, always = plain(queue), plain(queue, "never", after_commit=False), plain(queue, "always", after_commit=True)

    def waits(handle: JobHandle) -> bool:
        return not handle.enqueued

    for setting in (False, True):
        with make_app(QUEUE_AFTER_COMMIT=setting).app_context():
            db.session.execute(text("SELECT 1"))
            assert waits(unsaid.enqueue(1)) is setting
            assert not waits(never.enqueue(1))
            assert waits(always.enqueue(1))
            assert not waits(always.using(after_commit=False).enqueue(1))
            assert waits(never.using(after_commit=True).enqueue(1))
            db.session.rollback()


@pytest.mark.behaviour("A5")
@pytest.mark.databases("sqlite")
def test_many_jobs_wait_for_the_commit_too(two: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables) -> None:
    later, now = plain(queue, "later", after_commit=True), plain(queue, "now")
    pages.write()
    handles = [later.build(1), now.build(2), later.build(3), now.using(after_commit=True).build(4)]
    assert queue.enqueue_all(handles) == 4
    assert [row.name for row in tables.jobs()] == ["now"]
    db.session.commit()
    assert [row.name for row in tables.jobs()] == ["now", "later", "later", "now"]
    assert all(handle.enqueued for handle in handles)


@pytest.mark.behaviour("A5", "G3")
@pytest.mark.databases("sqlite")
def test_a_handle_that_several_calls_of_a_transaction_are_given_is_written_once(
    two: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables
) -> None:
    later = plain(queue, after_commit=True)
    one, other = later.build(1), later.build(2)
    pages.write()
    queue.publish(one)
    queue.enqueue_all([one, other])
    queue.enqueue_all([other])
    queue.publish(other)
    db.session.commit()
    assert [row.arguments for row in tables.jobs()] == ["[1]", "[2]"]
    assert [one.id, other.id] == [row.id for row in tables.jobs()]


@pytest.mark.behaviour("A5", "A4")
@pytest.mark.databases("sqlite")
def test_an_error_after_the_commit_is_told_and_keeps_no_other_job_away(
    two: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables, job: JobDefinition[[int], None]
) -> None:
    def fail() -> None:
        raise EnqueueError("the first")

    def fail_too() -> None:
        raise EnqueueError("the second")

    pages.write()
    on_commit(db.session(), fail)
    on_commit(db.session(), fail_too)
    handle = job.using(after_commit=True).enqueue(1)
    with pytest.raises(EnqueueError, match="the first"):
        db.session.commit()
    assert handle.status == "ready"
    pages.write()
    db.session.commit()
    assert pages.count() == 2, "the session is as good as new"


@pytest.mark.behaviour("A5", "G1")
def test_many_jobs_each_go_the_way_they_ask_for(
    one: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables
) -> None:
    job = plain(queue)
    pages.write()
    handles = [
        job.using(transactional=True).build(1),
        job.using(after_commit=True).build(2),
        job.using(transactional=True).build(3),
    ]
    assert queue.enqueue_all(handles) == 3
    assert [handle.enqueued for handle in handles] == [True, False, True]
    db.session.rollback()
    assert not tables.jobs()
    pages.write()
    assert queue.enqueue_all([job.using(transactional=True).build(4), job.using(after_commit=True).build(5)]) == 2
    db.session.commit()
    assert [queue.describe_arguments(row.arguments) for row in tables.jobs()] == ["4", "5"]


@pytest.mark.behaviour("A5")
def test_what_a_call_asks_for_goes_before_what_its_job_does(
    either: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables
) -> None:
    @queue.job(transactional=True)
    def job() -> None: ...

    pages.write()
    handle = job.using(after_commit=True).enqueue()
    assert (handle.id, handle.enqueued) == (None, False)
    db.session.commit()
    assert handle.status == "ready"


# --- inside it ------------------------------------------------------------------------------------------


@pytest.mark.behaviour("A5", "Q1")
def test_a_job_can_share_the_fate_of_the_data(
    one: Flask, db: SQLAlchemy, pages: Pages, job: JobDefinition[[int], None], tables: Tables
) -> None:
    inside = job.using(transactional=True)
    pages.write()
    handle = inside.enqueue(1)
    assert handle.id is not None
    if not tables.url.startswith("sqlite"):
        assert not tables.jobs(), "nobody else sees it yet"
    db.session.rollback()
    assert (pages.count(), tables.jobs(), handle.status) == (0, [], None)
    pages.write()
    handle = inside.enqueue(2)
    db.session.commit()
    assert (pages.count(), handle.status) == (1, "ready")


@pytest.mark.behaviour("A5")
def test_what_was_rolled_back_can_be_enqueued_again(
    one: Flask, db: SQLAlchemy, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    """As a transaction is that is tried again. What is in the queue stays as it is."""
    inside = job.using(transactional=True)
    handles = [inside.build(1), inside.build(2)]
    for end in (db.session.rollback, db.session.commit, db.session.commit):
        queue.publish(handles[0])
        queue.enqueue_all(handles)
        assert all(handle.enqueued for handle in handles)
        end()
        assert all(handle.enqueued for handle in handles) is (end != db.session.rollback)
    assert [row.arguments for row in tables.jobs()] == ["[1]", "[2]"]


@pytest.mark.behaviour("A5")
def test_a_savepoint_takes_its_job_along(
    one: Flask, db: SQLAlchemy, job: JobDefinition[[int], None], queue: FlaskQueue, tables: Tables
) -> None:
    inside = job.using(transactional=True)
    inside.enqueue(1)
    with suppress(LookupError), db.session.begin_nested():
        inside.enqueue(2)
        raise LookupError
    with db.session.begin_nested():
        inside.enqueue(3)
    db.session.commit()
    assert [queue.describe_arguments(row.arguments) for row in tables.jobs()] == ["1", "3"]


@pytest.mark.behaviour("A5", "G6")
@pytest.mark.parametrize("savepoint", [False, True])
def test_a_handle_lets_go_of_a_job_that_was_rolled_back(
    one: Flask, db: SQLAlchemy, job: JobDefinition[[int], None], queue: FlaskQueue, savepoint: bool
) -> None:
    """SQLite gives its id to the next job; and who tries the transaction again enqueues the same handles."""
    inside = job.using(transactional=True)
    transaction = db.session.begin_nested() if savepoint else db.session
    alone, together = inside.enqueue(1), [inside.build(2), inside.build(3)]
    queue.enqueue_all(together)
    transaction.rollback()
    db.session.commit()
    others = [job.enqueue(number) for number in (4, 5, 6)]
    assert [(handle.id, handle.enqueued, handle.status) for handle in (alone, *together)] == [(None, False, None)] * 3
    assert queue.enqueue_all(together) == 2
    db.session.commit()
    assert [handle.status for handle in (*others, *together)] == ["ready"] * 5


@pytest.mark.behaviour("A6", "R3")
def test_jobs_that_get_in_each_others_way_leave_the_transaction_usable(
    one: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables
) -> None:
    blocking = limited(queue, options={"transactional": True})
    discarding = limited(queue, "discarding", on_conflict="discard", options={"transactional": True})
    pages.write()
    handles = [blocking.enqueue("a"), blocking.enqueue("a"), discarding.enqueue("a"), discarding.enqueue("a")]
    assert db.session.scalar(select(func.count()).select_from(pages.table)) == 1
    assert db.session.scalar(text("SELECT count(*) FROM queue_jobs")) == 3
    db.session.commit()
    assert [handle.status for handle in handles] == ["ready", "blocked", "ready", None]


@pytest.mark.behaviour("A6", "F6", "F7")
def test_slots_are_counted_right_inside_the_applications_transaction(
    one: Flask, db: SQLAlchemy, pages: Pages, queue: FlaskQueue, tables: Tables
) -> None:
    """Although it began, and has read, before the other job came."""
    inside = limited(queue, options={"transactional": True})
    db.session.execute(select(pages.table))
    other = Aside(one, lambda: limited_elsewhere(queue))
    assert other.result() == "ready"
    try:
        mine = inside.enqueue("a")
        db.session.commit()
    except EnqueueError:  # SQLite: what was read is out of date, so nothing may be written in this transaction
        assert tables.url.startswith("sqlite")
        db.session.rollback()
        mine = inside.enqueue("a")
        db.session.commit()
    assert mine.status == "blocked"


def limited_elsewhere(queue: FlaskQueue) -> str | None:
    definition = queue.find_definition("limited")
    assert definition is not None
    return definition.using(transactional=False).enqueue("a").status


@pytest.mark.behaviour("A6", "F6")
def test_of_two_transactions_one_gets_the_slot(one: Flask, db: SQLAlchemy, queue: FlaskQueue, tables: Tables) -> None:
    inside = limited(queue, options={"transactional": True})

    def enqueue(key: object) -> str | None:
        for _ in range(20):
            try:
                handle = inside.enqueue(key)
                db.session.commit()
            except QueueError:  # SQLite was busy
                db.session.rollback()
            else:
                return handle.status
        raise AssertionError("always busy")

    for key in range(6):
        statuses = at_once(one, lambda key=key: enqueue(key), lambda key=key: enqueue(key))  # type: ignore[misc]
        assert sorted(map(str, statuses)) == ["blocked", "ready"]


@pytest.mark.behaviour("A5")
def test_what_the_database_refuses_inside_a_transaction_is_an_enqueue_error(
    one: Flask, db: SQLAlchemy, job: JobDefinition[[int], None], database_url: str, tables: Tables
) -> None:
    from .test_enqueuing import refusing_jobs

    with refusing_jobs(database_url):
        with pytest.raises(EnqueueError, match="refused"):
            job.using(transactional=True).enqueue(1)
        db.session.rollback()
    assert not tables.jobs()


@pytest.mark.behaviour("A5")
@pytest.mark.databases("sqlite")
def test_with_two_databases_there_is_no_transaction_to_share(
    two: Flask, job: JobDefinition[[int], None], tables: Tables
) -> None:
    with pytest.raises((EnqueueError, ConfigurationError), match="after_commit"):
        job.using(transactional=True).enqueue(1)
    assert not tables.jobs()
