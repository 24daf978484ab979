"""`flask queue check`: valid on stdout, problems on stderr, and no database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue

from .conftest import Run

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def app_config(tmp_path: Path) -> dict[str, Any]:
    """Databases that cannot be opened, and both files."""
    (tmp_path / "queue.yml").write_text("workers: [{threads: 2, processes: 2}]\ndispatchers: [{}]\n")
    (tmp_path / "recurring.yml").write_text("daily: {job: digest, schedule: every day at 9am}\n")
    return {
        "SQLALCHEMY_DATABASE_URI": "sqlite:////nowhere/primary.sqlite3",
        "SQLALCHEMY_BINDS": {"queue": "sqlite:////nowhere/queue.sqlite3"},
        "QUEUE_ENVIRONMENT": "staging",
        "QUEUE_CONFIG_FILE": tmp_path / "queue.yml",
        "QUEUE_RECURRING_FILE": tmp_path / "recurring.yml",
    }


@pytest.fixture
def app(make_app: Callable[..., Flask], queue: FlaskQueue) -> Iterator[Flask]:
    @queue.job(name="digest")
    def digest() -> None: ...

    app = make_app()
    with app.app_context():
        yield app


@pytest.mark.behaviour("N1")
def test_a_valid_configuration_is_said_on_stdout(run: Run) -> None:
    result = run("check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "Flask-Queue's staging configuration is valid.\nIt runs 2 workers, 1 dispatcher, 1 scheduler, 1 recurring task.\n"
    )


@pytest.mark.behaviour("N1", "M5", "H20")
def test_every_problem_is_a_line_on_stderr(run: Run, tmp_path: Path) -> None:
    (tmp_path / "queue.yml").write_text("workers: [{thread: 2}]\n")
    (tmp_path / "recurring.yml").write_text(
        "gone: {job: gone, schedule: every day}\nnever: {job: digest, schedule: tomorrow}\n"
        "twice: {job: digest, schedule: every day at 00:40 and 15:20}\n"
    )
    result = run("check")
    assert (result.exit_code, result.stdout) == (1, "")
    heading, *problems = result.stderr.splitlines()
    assert heading == "Error: Flask-Queue's staging configuration is invalid:"
    queue_yml, recurring_yml = tmp_path / "queue.yml", tmp_path / "recurring.yml"
    assert problems[0] == f"{queue_yml}: workers[0].thread: unknown option, did you mean threads?"
    assert problems[1].startswith(f"{recurring_yml}: gone: Class name doesn't correspond to an existing class")
    assert problems[2].startswith(f"{recurring_yml}: never: Schedule is not a supported recurring schedule")
    assert problems[3].startswith(f"{recurring_yml}: twice: ")
    assert "generates multiple cron schedules" in problems[3]
    assert len(problems) == 4


@pytest.mark.behaviour("N1", "M5")
def test_arguments_that_cannot_be_stored_are_a_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "recurring.yml").write_text("sum: {job: digest, schedule: every day, args: [1, {rate: [.nan]}]}\n")
    result = run("check")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{tmp_path / 'recurring.yml'}: sum: argument 'rate', [0]: " in result.stderr


@pytest.mark.behaviour("N1")
@pytest.mark.parametrize("place", ["nope:x", "tests:nobody"])
def test_a_function_that_is_not_where_a_setting_says_is_a_problem(
    make_app: Callable[..., Flask], app_config: dict[str, Any], place: str
) -> None:
    app = make_app(QUEUE_AUTHORIZE=place, QUEUE_CONFIG_FILE=None, QUEUE_RECURRING_FILE=None)
    result = app.test_cli_runner().invoke(args=["queue", "check"], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"\nQUEUE_AUTHORIZE is '{place}', which leads to no function: " in result.stderr


@pytest.mark.behaviour("N1", "M5", "H11")
@pytest.mark.parametrize(
    ("args", "told"),
    [("[1, 2, 3]", "too many positional arguments"), ("{foo: 1}", "missing a required argument: 'number'"), ("[1]", None)],
)
def test_arguments_that_the_job_does_not_take_are_a_problem(
    run: Run, queue: FlaskQueue, tmp_path: Path, args: str, told: str | None
) -> None:
    @queue.job(name="sum")
    def add(number: int) -> None: ...

    (tmp_path / "recurring.yml").write_text(f"sums: {{job: sum, schedule: every day, args: {args}}}\n")
    result = run("check")
    assert result.exit_code == (1 if told else 0)
    assert told is None or f"sums: The job does not take these arguments: {told}." in result.stderr


@pytest.mark.behaviour("N1")
def test_arguments_that_a_decorator_adds_need_not_be_given(run: Run, queue: FlaskQueue, tmp_path: Path) -> None:
    def with_mailer(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def wrapper(*args: Any) -> None:
            function("mailer", *args)

        return wrapper

    @queue.job(name="send")
    @with_mailer
    def send(mailer: str, number: int) -> None: ...

    queue.job(name="written.in.c")(dict)
    (tmp_path / "recurring.yml").write_text(
        "one: {job: send, schedule: every day, args: [1]}\nother: {job: written.in.c, schedule: every day, args: [1, 2]}\n"
    )
    assert run("check").exit_code == 0


@pytest.mark.behaviour("N1", "M5")
def test_a_job_in_a_module_that_cannot_be_imported_is_a_problem(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no_python.py").write_text("def job(:\n")
    (tmp_path / "incomplete.py").write_text("import not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "recurring.yml").write_text(
        "broken: {class: no_python.job, schedule: every day}\n"
        "incomplete: {class: incomplete.job, schedule: every day}\n"
        "gone: {job: gone.module.job, schedule: every day}\n"
    )
    result = run("check")
    assert (result.exit_code, result.stdout) == (1, "")
    _, broken, incomplete, gone = result.stderr.splitlines()
    assert "incomplete cannot be imported: ModuleNotFoundError: No module named 'not_installed'" in incomplete
    assert "cannot be imported" not in gone
    assert broken.startswith(f"{tmp_path / 'recurring.yml'}: broken: no_python cannot be imported: SyntaxError: ")
    assert gone.startswith(f"{tmp_path / 'recurring.yml'}: gone: ")


@pytest.mark.behaviour("N1")
def test_unreadable_yaml_is_a_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "queue.yml").write_text("workers: [\n")
    result = run("check")
    assert result.exit_code == 1
    assert f"{tmp_path / 'queue.yml'}: line 2, column 1: not valid YAML" in result.stderr


@pytest.mark.behaviour("N1", "M3")
def test_warnings_go_to_stderr_of_a_valid_configuration(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "odd.yml").write_text('workers: [{queues: ["a*b"]}]')
    app = make_app(QUEUE_CONFIG_FILE=tmp_path / "odd.yml", QUEUE_RECURRING_FILE=None)
    result = app.test_cli_runner().invoke(args=["queue", "check"])
    assert result.exit_code == 0
    assert result.stderr.startswith(f"Warning: {tmp_path / 'odd.yml'}: workers[0].queues: 'a*b' is ignored")


@pytest.mark.behaviour("M9")
def test_options_come_before_settings(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.yml").write_text("workers: [{}, {}, {}]")
    (tmp_path / "none.yml").write_text("")
    result = run("check", "--config-file", str(tmp_path / "other.yml"), "--recurring-schedule-file", str(tmp_path / "none.yml"))
    assert "It runs 3 workers." in result.stdout


@pytest.mark.behaviour("M8")
def test_recurring_tasks_are_left_out_on_demand(run: Run, tmp_path: Path) -> None:
    (tmp_path / "recurring.yml").write_text("never: {job: digest, schedule: tomorrow}\n")
    assert run("check").exit_code == 1
    assert "It runs 2 workers, 1 dispatcher.\n" in run("check", "--skip-recurring").stdout


@pytest.mark.parametrize(
    ("option", "what"),
    [("--only-work", "2 workers"), ("--only-dispatch", "1 dispatcher"), ("--only-schedule", "1 scheduler, 1 recurring task")],
)
def test_one_kind_of_process_can_be_asked_for(run: Run, option: str, what: str) -> None:
    assert f"It runs {what}.\n" in run("check", option).stdout


def test_two_kinds_alone_contradict_each_other(run: Run) -> None:
    result = run("check", "--only-work", "--only-dispatch")
    assert result.exit_code == 2
    assert "Choose one of --only-work, --only-dispatch." in result.stderr


@pytest.mark.behaviour("M3")
def test_a_missing_file_that_was_named_is_a_problem(run: Run, tmp_path: Path) -> None:
    result = run("check", "--config-file", str(tmp_path / "absent.yml"))
    assert result.exit_code == 1
    assert f"{tmp_path / 'absent.yml'}: does not exist" in result.stderr
