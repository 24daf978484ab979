"""A person's mistake is one sentence on stderr and exit status 1, whatever the command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.cli import make_cli

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


@pytest.fixture
def app(make_app: Callable[..., Flask], queue: FlaskQueue, empty_database_url: str) -> Iterator[Flask]:
    """An application whose database is there, without tables."""

    @queue.job(name="add")
    def add(a: int, b: int) -> int:
        return a + b

    app = make_app(SQLALCHEMY_BINDS={"queue": empty_database_url})
    with app.app_context():
        yield app


@pytest.mark.behaviour("N4")
@pytest.mark.parametrize("command", COMMANDS_WITH_TABLES, ids=" ".join)
def test_missing_tables_are_one_sentence_that_names_the_command(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 1
    assert "flask db -d migrations_queue upgrade" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("command", COMMANDS_WITH_TABLES, ids=" ".join)
def test_a_database_that_does_not_answer_is_one_sentence(
    make_app: Callable[..., Flask], queue: FlaskQueue, command: tuple[str, ...]
) -> None:
    queue.job(name="add")(lambda a, b: None)
    app = make_app(SQLALCHEMY_BINDS={"queue": "sqlite:////nowhere/at/all.sqlite3"})
    result = app.test_cli_runner().invoke(args=["queue", *command], catch_exceptions=False)
    assert result.exit_code == 1
    assert "unable to open database file" in result.stderr
    assert len(result.stderr.splitlines()) == 1


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
