"""`flask queue install`: writes what is missing, overwrites nothing, and says what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from .conftest import Run

pytestmark = pytest.mark.databases("sqlite")

FILES = [
    "config/queue.yml",
    "config/recurring.yml",
    "migrations_queue/alembic.ini",
    "migrations_queue/env.py",
    "migrations_queue/script.py.mako",
    "migrations_queue/versions/0001_create_the_queue.py",
]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_everything_is_written_and_the_next_commands_are_said(run: Run, site: Path, app: Flask, db: SQLAlchemy) -> None:
    Migrate(app, db)
    result = run("install", "--directory", ".")
    assert result.exit_code == 0
    assert files_in(site) == FILES
    assert result.stdout.splitlines() == [
        *(f"  create  {name}" for name in FILES),
        "Next:",
        "  flask db -d migrations_queue upgrade",
        "  flask queue check",
        "  flask queue start",
    ]


def test_an_application_without_migrations_is_told_to_have_some(run: Run, site: Path) -> None:
    assert "Migrate(app, db)" in run("install", "--directory", ".").stdout


def test_what_is_there_stays_as_it_is(run: Run, site: Path) -> None:
    (site / "config").mkdir()
    (site / "config" / "queue.yml").write_text("mine")
    result = run("install", "--directory", ".")
    assert "  keep    config/queue.yml" in result.stdout
    assert (site / "config" / "queue.yml").read_text() == "mine"
    assert files_in(site) == FILES


def test_force_overwrites(run: Run, site: Path) -> None:
    (site / "config").mkdir()
    (site / "config" / "queue.yml").write_text("mine")
    result = run("install", "--directory", ".", "--force")
    assert "  replace config/queue.yml" in result.stdout
    assert "workers:" in (site / "config" / "queue.yml").read_text()


def test_update_adds_migrations_and_nothing_else(run: Run, site: Path) -> None:
    run("install", "--directory", ".")
    for name in ("config/queue.yml", "migrations_queue/versions/0001_create_the_queue.py"):
        (site / name).unlink()
    (site / "migrations_queue" / "env.py").write_text("mine")
    result = run("install", "--directory", ".", "--update")
    assert "  create  migrations_queue/versions/0001_create_the_queue.py" in result.stdout
    assert "flask db -d migrations_queue upgrade" in result.stdout
    assert not (site / "config" / "queue.yml").exists()
    assert (site / "migrations_queue" / "env.py").read_text() == "mine"


def test_update_with_nothing_new_says_so(run: Run, site: Path) -> None:
    run("install", "--directory", ".")
    result = run("install", "--directory", ".", "--update")
    assert "Nothing to do: all migrations are here." in result.stdout
    assert "upgrade" not in result.stdout


def test_update_before_install_is_refused(run: Run, site: Path) -> None:
    result = run("install", "--directory", ".", "--update")
    assert result.exit_code == 1
    assert "Run `flask queue install` first." in result.stderr
    assert files_in(site) == []


def test_update_and_force_contradict_each_other(run: Run, site: Path) -> None:
    assert run("install", "--update", "--force").exit_code == 2


def test_a_folder_that_cannot_be_written_is_one_sentence(run: Run, site: Path) -> None:
    (site / "config").write_text("a file where a folder should be")
    result = run("install", "--directory", ".")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: config/queue.yml cannot be written: ")


@pytest.mark.behaviour("O6")
def test_finished_jobs_are_cleared_hourly_as_shipped(run: Run, site: Path) -> None:
    run("install", "--directory", ".")
    result = run("check", "--config-file", "config/queue.yml", "--recurring-schedule-file", "config/recurring.yml")
    assert result.exit_code == 0, result.stderr
    assert "1 recurring task" in result.stdout
    text = (site / "config" / "recurring.yml").read_text()
    assert "class: flask_queue.clear_finished_jobs\n    schedule: every hour at minute 12" in text
