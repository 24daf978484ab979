"""The two files of the reference application, and those that `flask queue install` writes: right in every environment."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

import flask_queue
from flask_queue.config import Configuration, Settings, load
from flask_queue.jobs.arguments import encode
from flask_queue.jobs.schedules import Schedule

ROOT = Path(__file__).parents[2]
INSTALLED = Path(flask_queue.__file__).parent / "install"
ENVIRONMENTS = ("development", "test", "production")


def read(root: Path, environment: str) -> Configuration:
    settings = Settings.from_mapping({"QUEUE_ENVIRONMENT": environment}, root=root)
    return load(
        settings,
        known_job=lambda name: True,
        check_schedule=Schedule.parse,
        check_arguments=encode,
        check_call=lambda name, args, kwargs: None,
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("root", [ROOT, INSTALLED], ids=["ours", "installed"])
def test_every_environment_has_a_section_without_problems(root: Path, environment: str) -> None:
    configuration = read(root, environment)
    assert (configuration.problems, configuration.warnings) == ((), ())
    assert configuration.workers
    assert configuration.dispatchers
    assert configuration.schedulers


@pytest.mark.behaviour("O6")
@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("root", [ROOT, INSTALLED], ids=["ours", "installed"])
def test_finished_jobs_are_cleared_every_hour(root: Path, environment: str) -> None:
    [task] = [task for task in read(root, environment).recurring_tasks if task.job == "flask_queue.clear_finished_jobs"]
    first = Schedule.parse(task.schedule).next_after(datetime.now(UTC))
    assert (Schedule.parse(task.schedule).next_after(first) - first).total_seconds() == 3600


@pytest.mark.parametrize("month", [1, 7])
def test_backups_are_verified_at_six_utc_all_year(month: int) -> None:
    tasks = {task.key: task for task in read(ROOT, "production").recurring_tasks}
    task = tasks["periodic_litestream_backup_verification_job"]
    assert (task.job, task.args) == ("flask_litestream.verification_job", ())
    assert Schedule.parse(task.schedule).next_after(datetime(2030, month, 10, tzinfo=UTC)) == datetime(
        2030, month, 10, 6, tzinfo=UTC
    )


def test_every_queue_of_production_has_a_worker() -> None:
    assert any("*" in worker.queues for worker in read(ROOT, "production").workers)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_application_knows_every_job_that_its_files_name(environment: str, tmp_path: Path) -> None:
    variables = {
        **os.environ,
        "QUEUE_ENVIRONMENT": environment,
        "SECRET_KEY": "a secret that is long enough",
        "PUBLIC_URL": "https://news.example",
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'primary.sqlite3'}",
        "SQLALCHEMY_BINDS_QUEUE": f"sqlite:///{tmp_path / 'queue.sqlite3'}",
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "queue", "check"]
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{environment} configuration is valid." in result.stdout
    assert "4 recurring tasks" in result.stdout


def test_the_shipped_files_are_yaml_for_solid_queues_readers_too() -> None:
    """No tags and no types beyond those that YAML readers of other languages have."""
    for file in (ROOT / "config" / "queue.yml", ROOT / "config" / "recurring.yml"):
        assert set(yaml.safe_load(file.read_text())) == {"default", *ENVIRONMENTS}
