"""An application with a login of its own, jobs that end in every way, and visitors with each role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, login_user
from sqlalchemy import insert

from flask_queue import Concurrency, FlaskQueue
from flask_queue.models import attempts, jobs, processes

from .visitor import Visitor

NOW = datetime.now(UTC)
#: What stands where there is nothing to say.
NOTHING = "\N{EN DASH}"


class User(UserMixin):
    """Somebody whose role is written on the forehead."""

    def __init__(self, role: str) -> None:
        self.id = self.role = role


def role_of(user: User) -> str | None:
    """What the tests set QUEUE_AUTHORIZE to."""
    return user.role if user.role in ("viewer", "operator", "admin") else None


def add_login(app: Flask, load: Callable[[str], Any] = User) -> None:
    """Give an application a login page that believes everything: /login?role=admin."""
    manager = LoginManager(app)
    manager.login_view = "login"
    manager.user_loader(load)

    @app.get("/login")
    def login() -> ResponseReturnValue:
        if "role" in request.args:
            login_user(load(request.args["role"]))
            return redirect("/jobs/")
        return "Who are you?"


@pytest.fixture
def declared(queue: FlaskQueue) -> None:
    """Jobs: one that does nothing, one that fails, one that is limited."""

    @queue.job(name="quiet")
    def quiet(*args: Any, **kwargs: Any) -> None:
        pass

    @queue.job(name="failing", queue="mail")
    def failing(*args: Any, **kwargs: Any) -> None:
        raise ValueError("on purpose")

    @queue.job(name="limited", queue="low", concurrency=Concurrency(key=lambda key: key, to=1))
    def limited(key: str) -> None:
        pass


@pytest.fixture
def make_site(make_app: Callable[..., Flask], declared: None) -> Callable[..., Flask]:
    """A factory of applications with the jobs above and a login."""

    def make(**config: Any) -> Flask:
        app = make_app(**{"QUEUE_AUTHORIZE": role_of, **config})
        add_login(app)
        return app

    return make


@pytest.fixture
def site_app(make_site: Callable[..., Flask]) -> Flask:
    return make_site()


@pytest.fixture
def admin(site_app: Flask) -> Visitor:
    return Visitor(site_app, "admin")


@pytest.fixture
def operator(site_app: Flask) -> Visitor:
    return Visitor(site_app, "operator")


@pytest.fixture
def viewer(site_app: Flask) -> Visitor:
    return Visitor(site_app, "viewer")


@pytest.fixture
def enqueue(site_app: Flask, queue: FlaskQueue) -> Callable[..., int]:
    """Enqueue a declared job by its name; gives its id."""

    def enqueue(name: str, *args: Any, using: dict[str, Any] | None = None, **kwargs: Any) -> int:
        with site_app.app_context():
            job_id = queue.definitions[name].using(**(using or {})).enqueue(*args, **kwargs).id
        assert job_id is not None
        return job_id

    return enqueue


@pytest.fixture
def work(site_app: Flask, queue: FlaskQueue) -> Callable[[], int]:
    """Run what is due until nothing is left."""

    def work() -> int:
        with site_app.app_context():
            return queue.work()

    return work


@pytest.fixture
def status(site_app: Flask, queue: FlaskQueue) -> Callable[[int], str | None]:
    """The state of a job, as the queue's own interface tells it."""

    def status(job_id: int) -> str | None:
        with site_app.app_context():
            handle = queue.jobs.get(job_id)
            return None if handle is None else handle.status

    return status


@pytest.fixture
def add(site_app: Flask, queue: FlaskQueue) -> Callable[..., None]:
    """Write rows of jobs past the queue, for states and times that take long to come about."""

    def add(*rows: dict[str, Any]) -> None:
        with site_app.app_context():
            write(queue, jobs, [{**DEFAULTS, **row} for row in rows])

    return add


DEFAULTS: dict[str, Any] = {
    "queue_name": "default",
    "name": "quiet",
    "arguments": '{"args": [], "kwargs": {}}',
    "priority": 0,
    "state": "ready",
    "scheduled_at": NOW,
    "created_at": NOW,
    "claimed_at": None,
    "finished_at": None,
    "process_id": None,
    "attempts": 0,
    "crashes": 0,
    "concurrency_key": None,
    "concurrency_limit": None,
    "concurrency_duration": None,
    "expires_at": None,
}


def write(queue: FlaskQueue, table: Any, rows: list[dict[str, Any]]) -> None:
    """Insert rows into a table of the queue."""
    with queue.database.begin() as connection:
        for start in range(0, len(rows), 500):
            connection.execute(insert(table), rows[start : start + 500])


@pytest.fixture
def add_failed(add: Callable[..., None], site_app: Flask, queue: FlaskQueue) -> Callable[..., None]:
    """Write failed jobs, each with one failed attempt: `add_failed({"id": 1, "error_class": "KeyError"})`."""

    def add_failed(*rows: dict[str, Any]) -> None:
        errors = [row.pop("error_class", "ValueError") for row in rows]
        add(*({"state": "failed", "attempts": 1, **row} for row in rows))
        failed = [
            {
                "job_id": row["id"],
                "number": 1,
                "failed_at": NOW,
                "error_class": error,
                "message": "on purpose",
                "traceback": "Traceback (most recent call last):\nValueError: on purpose\n",
            }
            for row, error in zip(rows, errors, strict=True)
        ]
        with site_app.app_context():
            write(queue, attempts, failed)

    return add_failed


@pytest.fixture
def add_process(site_app: Flask, queue: FlaskQueue) -> Callable[..., None]:
    """Register a process: `add_process(id=1, kind="Worker", silent_for=5)`."""

    def add_process(*, id: int, kind: str = "Worker", silent_for: float = 0, **values: Any) -> None:
        row = {
            "id": id,
            "kind": kind,
            "name": f"{kind.lower()}-{id}",
            "pid": 4000 + id,
            "hostname": "host-a",
            "supervisor_id": None,
            "started_at": NOW - timedelta(hours=1),
            "last_heartbeat_at": datetime.now(UTC) - timedelta(seconds=silent_for),
            "metadata": {},
            **values,
        }
        with site_app.app_context():
            write(queue, processes, [row])

    return add_process
