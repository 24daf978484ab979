"""How a run of a job ends, whatever the job does; and what it finds around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any

import pytest
from flask import Flask, current_app, g, got_request_exception
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from flask_queue import FlaskQueue, Retry, current_job, testing
from tests.flask_queue.operations.declared import forget, limited, plain
from tests.harness.tables import Tables


@pytest.fixture
def reported(app: Flask) -> Iterator[list[BaseException]]:
    """What the application's error reporting is told."""
    found: list[BaseException] = []

    def note(sender: Flask, exception: BaseException, **more: object) -> None:
        found.append(exception)

    got_request_exception.connect(note, app)
    yield found
    got_request_exception.disconnect(note, app)


@pytest.mark.behaviour("D2")
def test_an_error_fails_the_job_and_is_reported_once(app: Flask, queue: FlaskQueue, reported: list[BaseException]) -> None:
    def deeper() -> None:
        raise ZeroDivisionError("on purpose")

    @queue.job
    def job() -> None:
        deeper()

    handle = job.enqueue()
    assert queue.work() == 1
    assert (handle.status, handle.finished_at) == ("failed", None)
    assert handle.error is not None
    assert (handle.error.error_class, handle.error.message) == ("ZeroDivisionError", "on purpose")
    assert __file__ in handle.error.traceback
    assert "in deeper" in handle.error.traceback
    assert [str(error) for error in reported] == ["on purpose"]


@pytest.mark.behaviour("D2", "E1")
def test_an_error_that_leads_to_another_attempt_is_not_reported(
    app: Flask, queue: FlaskQueue, reported: list[BaseException]
) -> None:
    @queue.job(retry=Retry(attempts=3, wait=0))
    def job() -> None:
        if current_job.attempt < 3:
            raise ValueError

    handle = job.enqueue()
    assert queue.work() == 3
    assert (handle.status, len(handle.errors), reported) == ("finished", 2, [])


EXITS = [
    SystemExit(0),
    SystemExit("text"),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    BaseException("bare"),
]


@pytest.mark.behaviour("D3")
@pytest.mark.parametrize("coroutine", [False, True], ids=["function", "coroutine"])
def test_exits_fail_the_job_and_not_the_worker(app: Flask, queue: FlaskQueue, tables: Tables, coroutine: bool) -> None:
    if coroutine:

        @queue.job(name="job")
        async def job(position: int) -> None:
            raise EXITS[position]

    else:

        @queue.job(name="job")
        def job(position: int) -> None:
            raise EXITS[position]

    after = plain(queue, "after")
    handles = [job.enqueue(position) for position in range(len(EXITS))]
    after.enqueue()
    assert queue.work() == len(EXITS) + 1
    assert tables.states() == {"failed": len(EXITS), "finished": 1}
    assert [handle.error.error_class.rpartition(".")[2] for handle in handles if handle.error] == [
        type(error).__name__ for error in EXITS
    ]


@pytest.mark.behaviour("D4")
@pytest.mark.parametrize("declare", [plain, limited])
def test_a_job_that_nobody_knows_fails_and_stops_nothing(
    app: Flask, queue: FlaskQueue, declare: Callable[..., Any], reported: list[BaseException]
) -> None:
    job, known = declare(queue, "removed"), plain(queue, "known")
    handles = [job.enqueue(1), job.enqueue(1)]
    forget(queue, "removed")
    last = known.enqueue()
    assert queue.work() == 3
    assert [handle.status for handle in [*handles, last]] == ["failed", "failed", "finished"]
    assert handles[0].error is not None
    assert handles[0].error.error_class == "UnknownJobError"
    assert "'removed'" in handles[0].error.message
    assert "import its module in the application's factory" in handles[0].error.message
    assert len(reported) == 2


@pytest.mark.behaviour("D6")
def test_arguments_that_cannot_be_read_fail_the_job(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.enqueue(n) for n in range(4)]
    broken = ["", "{", '{"$nothing": 1}', "[[1, 2, 3], {}]"]
    with queue.database.begin() as connection:
        for handle, arguments in zip(handles, broken, strict=True):
            connection.execute(text("UPDATE queue_jobs SET arguments = :a WHERE id = :i"), {"a": arguments, "i": handle.id})
    assert queue.work() == 4
    assert tables.states() == {"failed": 4}
    assert all(handle.error for handle in handles)


@pytest.mark.behaviour("E11", "D3")
def test_a_wait_function_that_raises_fails_the_job(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(retry=Retry(attempts=3, wait=lambda attempt: 1 // (attempt - 1)))
    def job() -> None:
        raise ValueError("the job's own")

    handle = job.enqueue()
    assert queue.work() == 1
    assert handle.status == "failed"
    assert handle.error is not None
    assert handle.error.error_class == "ZeroDivisionError"
    assert "the job's own" in handle.error.traceback


@pytest.mark.behaviour("E3")
def test_discarded_errors_leave_a_finished_job(app: Flask, queue: FlaskQueue, reported: list[BaseException]) -> None:
    @queue.job(discard_on=LookupError, retry=Retry(on=Exception, wait=0))
    def job() -> None:
        raise KeyError("gone")

    handle = job.enqueue()
    assert queue.work() == 1
    assert (handle.status, handle.errors, reported) == ("finished", [], [])


@pytest.mark.behaviour("E11")
def test_of_several_rules_the_first_that_is_for_the_error_holds(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(retry=[Retry(attempts=2, on=LookupError, wait=0), Retry(attempts=4, on=Exception, wait=0)])
    def job(kind: str) -> None:
        raise KeyError if kind == "key" else OSError

    first, second = job.enqueue("key"), job.enqueue("os")
    queue.work()
    assert (len(first.errors), len(second.errors)) == (2, 4)


# --- what a job finds -----------------------------------------------------------------------------------


@pytest.mark.behaviour("A11")
def test_a_job_knows_itself(app: Flask, queue: FlaskQueue) -> None:
    seen: list[Any] = []

    @queue.job(name="known", queue="mail")
    def job() -> None:
        seen.append((bool(current_job), current_job.id, current_job.name, current_job.queue, current_job.attempt))
        seen.append((repr(current_job), current_job.stopping))

    handle = job.enqueue()
    queue.work()
    assert seen == [(True, handle.id, "known", "mail", 1), (f"<current_job known {handle.id}>", False)]
    assert not current_job


@pytest.mark.behaviour("D12")
def test_each_job_has_an_application_context_of_its_own(app: Flask, queue: FlaskQueue) -> None:
    seen: list[Any] = []

    @queue.job
    def job() -> None:
        seen.append((current_app.name, g.get("before")))
        g.before = "left behind"

    g.before = "the caller's"
    for _ in range(3):
        job.enqueue()
    queue.work()
    assert seen == [(app.name, None)] * 3
    assert g.before == "the caller's"


@pytest.mark.behaviour("D12")
@pytest.mark.parametrize("bind", ["two databases", "one database"])
@pytest.mark.parametrize("what", ["dirty", "failed", "rollback", "remove", "close", "committed", "savepoint"])
def test_whatever_a_job_does_to_its_session_the_next_one_does_not_notice(
    database_url: str,
    make_app: Callable[..., Flask],
    db: SQLAlchemy,
    queue: FlaskQueue,
    bind: str,
    what: str,
) -> None:
    table = db.Table("things", db.Column("id", db.Integer, primary_key=True), db.Column("word", db.String(20), nullable=False))
    counts: list[Any] = []

    def write(word: str | None = "word") -> None:
        db.session.execute(table.insert().values(word=word))

    @queue.job(retry=Retry(attempts=2, wait=0))
    def first() -> None:
        if current_job.attempt == 1:
            write()
            raise ValueError
        _meddle()

    def _meddle() -> None:
        if what == "failed":
            with pytest.raises(Exception, match=r"(?i)null"):
                write(None)
            return
        write()
        if what == "savepoint":
            db.session.begin_nested()
            write()
        elif what == "committed":
            db.session.commit()
        elif what != "dirty":
            getattr(db.session, what)()

    @queue.job
    def second() -> None:
        counts.append(len(db.session.execute(table.select()).all()))

    config = {} if bind == "two databases" else {"QUEUE_BIND_KEY": None, "SQLALCHEMY_DATABASE_URI": database_url}
    app = make_app(**config)
    with app.app_context():
        db.create_all(None)
        handles = [first.enqueue(), second.enqueue()]
        assert queue.work() == 3
        assert [handle.status for handle in handles] == ["finished", "finished"]
        assert [len(handle.errors) for handle in handles] == [1, 0]
        assert counts == [1 if what == "committed" else 0]
        db.session.remove()
        with db.engine.begin() as connection:
            table.drop(connection)


@pytest.mark.behaviour("D11")
@pytest.mark.databases("sqlite")
def test_trouble_after_the_job_is_the_machinerys_and_not_the_jobs(app: Flask, queue: FlaskQueue) -> None:
    errors: list[BaseException] = []
    queue.on_thread_error(errors.append)

    @app.teardown_appcontext
    def fail(error: BaseException | None) -> None:
        if g.pop("in_job", False):
            raise OSError("teardown")

    @queue.job
    def job() -> None:
        g.in_job = True

    handle = job.enqueue()
    queue.work()
    assert (handle.status, handle.errors) == ("finished", [])
    assert [str(error) for error in errors] == ["teardown"]


@pytest.mark.behaviour("D2")
def test_a_coroutine_job_runs_and_fails_like_any_other(app: Flask, queue: FlaskQueue) -> None:
    seen: list[Any] = []

    @queue.job
    async def job(fail: bool) -> None:
        await asyncio.sleep(0)
        seen.append((current_job.id, current_app.name))
        if fail:
            raise ValueError("awaited")

    good, bad = job.enqueue(False), job.enqueue(True)
    assert queue.work() == 2
    assert (good.status, bad.status) == ("finished", "failed")
    assert seen == [(good.id, app.name), (bad.id, app.name)]
    assert bad.error is not None
    assert bad.error.message == "awaited"


def test_a_coroutine_in_a_plain_wrapper_is_not_forgotten(app: Flask, queue: FlaskQueue) -> None:
    """A decorator that knows nothing of coroutines hides that this is one."""
    seen: list[int] = []

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    @queue.job
    @decorated
    async def job(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    handle = job.enqueue(4)
    queue.work()
    assert (handle.status, seen) == ("finished", [4])


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("given", [lambda: (number for number in [1]), lambda: _numbers()])
def test_a_generator_that_nobody_would_run_fails_its_job(app: Flask, queue: FlaskQueue, given: Callable[[], Any]) -> None:
    """A decorator may hide that the function has a `yield`."""

    @queue.job
    def job() -> Any:
        return given()

    handle = job.enqueue()
    queue.work()
    assert handle.status == "failed"
    assert handle.error is not None
    assert "of which nothing has run" in handle.error.message
    with pytest.raises(TypeError, match="of which nothing has run"), testing.inline():
        job.enqueue()


async def _numbers() -> AsyncIterator[int]:
    yield 1


@pytest.mark.behaviour("O3", "D1")
def test_finished_jobs_need_not_be_kept(make_app: Callable[..., Flask], queue: FlaskQueue, tables: Tables) -> None:
    @queue.job(discard_on=LookupError)
    def job(kind: str) -> None:
        if kind != "good":
            raise KeyError if kind == "discarded" else ValueError

    with make_app(QUEUE_PRESERVE_FINISHED_JOBS=False).app_context():
        for kind in ("good", "discarded", "bad"):
            job.enqueue(kind)
        assert queue.work() == 3
    assert tables.states() == {"failed": 1}
