"""Fixtures of all tests: one test runs over all three databases by asking for any of `database_url`, `app` or `site`.

tests/harness/ has what they are made of. `@pytest.mark.databases("sqlite")` limits a test to some databases.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from playwright.sync_api import Browser, sync_playwright

from .harness import databases
from .harness.databases import Databases
from .harness.missing import missing

if TYPE_CHECKING:
    from flask_queue import FlaskQueue

    from .harness.site import Site


def pytest_configure() -> None:
    """Ctrl-C is heard, though a script that runs the tests in the background (`make test &`) has its children ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat whatever needs a database for each of them."""
    if "database_name" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("database_name", marker.args if marker else databases.NAMES)


@pytest.fixture(scope="session")
def all_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.drop_all()


@pytest.fixture
def database_url(database_name: str, all_databases: Databases, tmp_path: Path) -> str:
    """A queue database with empty tables, on SQLite, PostgreSQL and MariaDB in turn."""
    return all_databases.with_tables(database_name, tmp_path)


@pytest.fixture
def empty_database_url(database_name: str, all_databases: Databases, tmp_path: Path) -> str:
    """A database without any tables, for migrations and for what happens when they are missing."""
    return all_databases.without_tables(database_name, tmp_path)


@pytest.fixture
def db() -> SQLAlchemy:
    return SQLAlchemy()


@pytest.fixture
def queue() -> FlaskQueue:
    """A queue of this test's own: declare jobs on it with `@queue.job`."""
    from flask_queue import FlaskQueue

    return FlaskQueue()


@pytest.fixture
def app_config(database_url: str, tmp_path: Path) -> dict[str, Any]:
    """The configuration of `app`. Override this fixture, or call `make_app(QUEUE_…=…)`, to change it."""
    return {
        "TESTING": True,
        "SECRET_KEY": "for tests",
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'primary.sqlite3'}",
        "SQLALCHEMY_BINDS": {"queue": database_url},
        "QUEUE_CONFIG_FILE": None,
        "QUEUE_RECURRING_FILE": None,
    }


@pytest.fixture
def make_app(db: SQLAlchemy, queue: FlaskQueue, app_config: dict[str, Any]) -> Iterator[Callable[..., Flask]]:
    """A factory of applications with `db` and `queue`, for tests that need other settings or more than one."""
    with ExitStack() as cleanup:

        def make(**config: Any) -> Flask:
            app = Flask("tests", root_path=str(Path(__file__).parent))
            app.config.from_mapping({**app_config, **config})
            db.init_app(app)
            queue.init_app(app, db)
            cleanup.callback(dispose_engines, app, db)
            return app

        yield make


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    """An application with its queue in the bind "queue" and its own data in SQLite, with its context pushed."""
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """The test application for real processes; whatever it started is gone when the test ends."""
    from .harness.site import Site  # late: its jobs are declared when it is imported

    site = Site(tmp_path, database_url)
    yield site
    site.stop_everything()


def dispose_engines(app: Flask, db: SQLAlchemy) -> None:
    """Close the application's connections: the database of the next test may be the same one."""
    with app.app_context():
        db.session.remove()
        app.extensions["queue"].database.dispose()
        for engine in db.engines.values():
            engine.dispose()


CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Real Chromium. For one module: while it is there, no other event loop can run in this thread."""
    if not Path(CHROMIUM).exists():
        missing(f"there is no browser at {CHROMIUM}: set CHROMIUM to where one is")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
