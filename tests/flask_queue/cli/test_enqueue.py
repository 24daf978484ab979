"""`flask queue enqueue`: jobs from a shell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from flask_queue import Concurrency, FlaskQueue

from .conftest import Run


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("[1, 2]", ((1, 2), {})),
        ("5", ((5,), {})),
        ("null", ((None,), {})),
        ("[]", ((), {})),
        ('[1, {"b": 2}]', ((1,), {"b": 2})),
        ('{"a": 1}', ((), {"a": 1})),
        ('"text"', (("text",), {})),
        ("[[1, 2]]", (([1, 2],), {})),
    ],
)
def test_arguments_are_json(run: Run, queue: FlaskQueue, arguments: str, expected: object) -> None:
    received: list[object] = []

    @queue.job(name="receive")
    def receive(a: object = None, b: object = None) -> None: ...

    receive.function = lambda *args, **kwargs: received.append((args, kwargs))
    result = run("enqueue", "receive", arguments)
    assert result.exit_code == 0, result.stderr
    queue.work()
    assert received == [expected]


def test_the_job_is_told_with_its_id(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    result = run("enqueue", "add", "[1, 2]")
    [job] = queue.jobs.ready.all()
    assert result.stdout == f"Enqueued job {job.id}: add in queue default.\n"


def test_queue_and_priority_override_the_jobs_own(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    run("enqueue", "welcome", "1")
    run("enqueue", "welcome", "1", "--queue", "low", "--priority", "-5")
    assert [(job.queue, job.priority) for job in queue.jobs.all_states.all()] == [("mail", 10), ("low", -5)]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("wait", "seconds"), [("600", 600), ("10 minutes", 600), ("1.5", 1.5)])
def test_a_job_can_wait(run: Run, queue: FlaskQueue, jobs: SimpleNamespace, wait: str, seconds: float) -> None:
    before = datetime.now(UTC)
    run("enqueue", "add", "1", "--wait", wait)
    [job] = queue.jobs.scheduled.all()
    assert abs(job.scheduled_at - before - timedelta(seconds=seconds)) < timedelta(seconds=5)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("at", ["2030-01-31 08:00", "2030-01-31T09:00+01:00", "2030-01-31T08:00:00Z"])
def test_a_job_can_be_given_a_moment(run: Run, queue: FlaskQueue, jobs: SimpleNamespace, at: str) -> None:
    run("enqueue", "add", "1", "--at", at)
    [job] = queue.jobs.scheduled.all()
    assert job.scheduled_at == datetime(2030, 1, 31, 8, tzinfo=UTC)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("ad", "1"), 1, "There is no job 'ad'. Did you mean 'add'?"),
        (("add", "[1"), 2, "ARGUMENTS must be JSON"),
        (("add", "text"), 2, "A text needs quotes of its own"),
        (("add",), 2, "missing a required argument: 'a'"),
        (("add", '{"c": 1}'), 2, "missing a required argument: 'a'"),
        (("add", "1", "--priority", "4000000000"), 1, "4000000000"),
        (("add", "1", "--queue", "a*"), 1, "a*"),
        (("add", "1", "--wait", "soon"), 2, "a number of seconds"),
        (("add", "1", "--at", "tomorrow"), 2, "must be a date and time"),
        (("add", "1", "--wait", "1", "--at", "2030-01-31"), 2, "--wait or --at"),
    ],
)
def test_what_cannot_be_enqueued_is_refused_and_leaves_no_row(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, arguments: tuple[str, ...], status: int, told: str
) -> None:
    result = run("enqueue", *arguments)
    assert result.exit_code == status
    assert told in " ".join(result.stderr.split())
    assert queue.jobs.all_states.count() == 0


def test_a_job_that_its_concurrency_rule_discards_is_told(run: Run, queue: FlaskQueue) -> None:
    @queue.job(name="only_one", concurrency=Concurrency(key=lambda: "x", to=1, on_conflict="discard"))
    def only_one() -> None: ...

    assert "Enqueued job" in run("enqueue", "only_one").stdout
    assert run("enqueue", "only_one").stdout.startswith("Not enqueued: the concurrency rule of only_one discarded it")
    assert queue.jobs.all_states.count() == 1


def test_a_job_that_waits_for_a_commit_elsewhere_is_enqueued_at_once(
    make_app: Callable[..., Flask], queue: FlaskQueue, db: SQLAlchemy, database_url: str
) -> None:
    """Nobody would commit: the command has no transaction of its own beside the job's."""

    def key() -> object:
        return db.session.execute(text("SELECT 1")).scalar()  # begins the application's transaction

    @queue.job(name="after", after_commit=True, concurrency=Concurrency(key=key))
    def after() -> None: ...

    @queue.job(name="inside", transactional=True)
    def inside() -> None: ...

    app = make_app(QUEUE_BIND_KEY=None, SQLALCHEMY_DATABASE_URI=database_url)
    for name in ("after", "inside"):
        result = app.test_cli_runner().invoke(args=["queue", "enqueue", name])
        assert "Enqueued job" in result.stdout, result.output
    with app.app_context():
        assert [job.name for job in queue.jobs.ready.all()] == ["after", "inside"]
