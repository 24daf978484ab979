"""A person's mistake is one sentence on stderr and exit status 1, whatever the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event

from flask_queue import FlaskQueue
from flask_queue.cli import make_cli, setup_errors_shown
from flask_queue.config import Settings
from flask_queue.errors import ConfigurationError

from .conftest import Run

COMMANDS_WITH_TABLES = [
    ("status",),
    ("status", "--json"),
    ("list",),
    ("list", "--state", "failed"),
    ("show", "1"),
    ("retry", "1"),
    ("retry", "--all"),
    ("discard", "--all"),
    ("pause", "default"),
    ("resume", "default"),
    ("clear-finished",),
    ("recurring",),
    ("recurring", "run", "daily"),
    ("work",),
    ("enqueue", "add", "[1, 2]"),
    ("start",),
]


@pytest.fixture(autouse=True)
def add(queue: FlaskQueue) -> object:
    """A job to enqueue."""
    return queue.job(name="add")(lambda a, b: a + b)


@pytest.fixture
def app(make_app: Callable[..., Flask], empty_database_url: str) -> Iterator[Flask]:
    """An application whose database is there, without tables."""
    app = make_app(SQLALCHEMY_BINDS={"queue": empty_database_url})
    with app.app_context():
        yield app


def assert_one_sentence(result: Result, words: str, command: tuple[str, ...]) -> None:
    assert result.exit_code == 1, command
    assert words in result.stderr, command
    assert len(result.stderr.splitlines()) == 1, command
    assert result.stdout == "", command


@pytest.mark.behaviour("N4")
def test_missing_tables_are_one_sentence_that_names_the_command(run: Run) -> None:
    for command in COMMANDS_WITH_TABLES:
        assert_one_sentence(run(*command), "flask db -d migrations_queue upgrade", command)
        assert_one_sentence(run(*command), "`flask queue install`", command)


def test_tables_of_another_version_are_told_as_such(run: Run, db: SQLAlchemy, queue: FlaskQueue) -> None:
    db.create_all("queue")
    with queue.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE queue_jobs RENAME COLUMN arguments TO parameters")
    for command in (("list",), ("show", "1"), ("enqueue", "add", "[1, 2]")):
        assert_one_sentence(run(*command), "not those of this version", command)


@pytest.mark.databases("sqlite")
def test_a_full_disk_is_told_as_such(run: Run, db: SQLAlchemy, queue: FlaskQueue) -> None:
    db.create_all("queue")
    with queue.database.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    command = ("enqueue", "add", json.dumps(["a" * 100_000, 2]))
    result = run(*command)
    assert_one_sentence(result, "database or disk is full", command)
    assert "does not answer" not in result.stderr


@pytest.mark.databases("sqlite")
def test_a_database_that_somebody_else_holds_is_told_as_such(run: Run, db: SQLAlchemy, queue: FlaskQueue) -> None:
    db.create_all("queue")
    event.listen(db.engines["queue"], "connect", lambda connection, record: connection.execute("PRAGMA busy_timeout = 0"))
    with db.engines["queue"].connect() as somebody:
        somebody.exec_driver_sql("BEGIN IMMEDIATE")
        result = run("pause", "default")
    assert_one_sentence(result, "says: database is locked.", ("pause", "default"))


@pytest.mark.databases("sqlite")
def test_a_file_that_is_no_database_is_told_as_such(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Buy milk. " * 1000)
    app = make_app(SQLALCHEMY_BINDS={"queue": f"sqlite:///{file}"})
    for command in COMMANDS_WITH_TABLES:
        result = app.test_cli_runner().invoke(args=["queue", *command], catch_exceptions=False)
        assert_one_sentence(result, "says: file is not a database.", command)


@pytest.mark.databases("sqlite")
def test_a_database_that_does_not_answer_is_one_sentence(make_app: Callable[..., Flask]) -> None:
    app = make_app(SQLALCHEMY_BINDS={"queue": "sqlite:////nowhere/at/all.sqlite3"})
    for command in COMMANDS_WITH_TABLES:
        result = app.test_cli_runner().invoke(args=["queue", *command], catch_exceptions=False)
        assert_one_sentence(result, "unable to open database file", command)


@pytest.mark.databases("sqlite")
def test_a_command_that_is_misspelled_is_guessed(run: Run) -> None:
    result = run("strat")
    assert result.exit_code == 2
    assert "start" in result.stderr


@pytest.mark.databases("sqlite")
def test_an_application_without_a_queue_is_told() -> None:
    app = Flask("without_queue")
    app.cli.add_command(make_cli())
    result = app.test_cli_runner().invoke(args=["queue", "status"])
    assert result.exit_code == 1
    assert result.stderr == "Error: This application has no queue. Call `queue.init_app(app, db)` in its factory.\n"


@pytest.mark.databases("sqlite")
def test_a_mistake_of_ours_keeps_its_traceback(run: Run, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(queue), "check_tables", broken)
    with pytest.raises(ZeroDivisionError):
        run("status")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", sorted(make_cli().commands))
def test_help_teaches_with_an_example(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"  flask queue {name}" in result.stdout


@pytest.mark.databases("sqlite")
def test_a_wrong_setting_is_one_sentence_whatever_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def create_app() -> Flask:
        with setup_errors_shown():
            Settings.from_mapping({"QUEUE_MODE": "async"}, root=Path())
        return Flask("never_made")

    with pytest.raises(SystemExit) as exited:
        FlaskGroup(create_app=create_app, load_dotenv=False).main(["routes"])
    assert exited.value.code == 1
    assert capsys.readouterr().err == 'Error: QUEUE_MODE is \'async\', but must be "fork" or "thread".\n'


def test_whoever_calls_the_factory_gets_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError) as caught, setup_errors_shown():
        Settings.from_mapping({"QUEUE_MODE": "async", "QUEUE_PIDFILE": 1}, root=Path())
    assert len(caught.value.problems) == 2
