"""`flask queue recurring`: the tasks of the configuration and those added at run time, with their next runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from flask_queue import FlaskQueue
from flask_queue.jobs.schedules import Schedule
from flask_queue.models import recurring_tasks

from ...harness.site import Site
from .conftest import Run

TASKS = """
digest: {class: welcome, args: [1], schedule: every day at 1am EST}
sums: {job: add, args: [1], schedule: "*/5 * * * *"}
rest: {job: add, args: [1], schedule: every hour, enabled: false}
"""


@pytest.fixture
def app_config(app_config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "recurring.yml").write_text(TASKS)
    return {**app_config, "QUEUE_RECURRING_FILE": tmp_path / "recurring.yml"}


@pytest.fixture
def app(app: Flask, jobs: SimpleNamespace) -> Iterator[Flask]:
    return app


def next_run(schedule: str) -> str:
    return f"{Schedule.parse(schedule).next_after(datetime.now(UTC)):%Y-%m-%d %H:%M}"


def test_configured_tasks_are_shown_before_any_scheduler_has_run(run: Run) -> None:
    expected = [
        ["digest", "welcome", "every day at 1am EST", next_run("0 6 * * *"), "-"],
        ["rest", "add", "every hour", "paused", "-"],
        ["sums", "add", "*/5 * * * *", next_run("*/5 * * * *"), "-"],
    ]
    headings, *lines = run("recurring").stdout.splitlines()
    assert cells(headings) == ["KEY", "JOB", "SCHEDULE", "NEXT RUN (UTC)", "LAST RUN (UTC)"]
    assert [cells(line) for line in lines] == expected


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_tasks_added_at_run_time_are_shown_too(run: Run, queue: FlaskQueue) -> None:
    queue.schedule_recurring_task("nightly", job="add", schedule="0 3 * * *", args=[1])
    assert ["nightly", "add", "0 3 * * *", next_run("0 3 * * *"), "-"] in map(cells, run("recurring").stdout.splitlines())


def test_machines_get_moments(run: Run) -> None:
    digest = json.loads(run("recurring", "--json").stdout)[0]
    assert (digest["key"], digest["job"], digest["paused"]) == ("digest", "welcome", False)
    due = datetime.fromisoformat(digest["next_run_at"])
    assert (due.hour, due.minute) == (6, 0)
    assert due - datetime.now(UTC) <= timedelta(days=1)


def test_a_task_is_paused_resumed_and_run(run: Run, queue: FlaskQueue) -> None:
    queue.schedule_recurring_task("nightly", job="add", schedule="0 3 * * *", args=[1])
    assert run("recurring", "pause", "nightly").stdout == "Paused nightly.\n"
    assert queue.recurring_tasks["nightly"].paused
    assert "paused" in next(line for line in run("recurring").stdout.splitlines() if line.startswith("nightly"))
    assert run("recurring", "resume", "nightly").stdout == "Resumed nightly.\n"
    assert not queue.recurring_tasks["nightly"].paused
    result = run("recurring", "run", "nightly")
    [job] = queue.jobs.ready.all()
    assert result.stdout == f"Enqueued job {job.id}.\n"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("command", ["pause", "resume", "run"])
def test_an_unknown_task_is_refused(run: Run, command: str) -> None:
    result = run("recurring", command, "digset")
    assert result.exit_code == 1
    assert result.stderr == "Error: There is no recurring task 'digset'. Did you mean 'digest'?\n"


@pytest.mark.databases("sqlite")
def test_a_configured_task_that_no_scheduler_has_seen_is_told_apart(run: Run) -> None:
    result = run("recurring", "run", "digest")
    assert result.exit_code == 1
    assert "no scheduler has started with it yet" in result.stderr
    assert "flask queue enqueue welcome" in result.stderr


@pytest.mark.databases("sqlite")
def test_a_bad_task_is_told_and_the_others_are_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "recurring.yml").write_text(TASKS + "never: {job: add, schedule: tomorrow}\n")
    result = run("recurring")
    assert result.exit_code == 0
    assert "never: Schedule is not a supported recurring schedule" in result.stderr
    assert len(result.stdout.splitlines()) == 4


def test_a_stored_task_that_cannot_be_read_is_told_and_the_others_are_shown(run: Run, queue: FlaskQueue) -> None:
    for key in ("nightly", "odd"):
        queue.schedule_recurring_task(key, job="add", schedule="0 3 * * *", args=[1])
    odd = update(recurring_tasks).where(recurring_tasks.c.key == "odd").values(schedule="tomorrow")
    queue.database.transact(lambda connection: connection.execute(odd))
    result = run("recurring")
    assert result.exit_code == 0
    assert result.stderr.startswith("Problem: odd: Schedule is not a supported recurring schedule: 'tomorrow'")
    lines = {line[0]: line for line in map(cells, result.stdout.splitlines())}
    assert lines.keys() == {"KEY", "digest", "nightly", "odd", "rest", "sums"}
    assert lines["odd"] == ["odd", "add", "tomorrow", "-", "-"]
    assert lines["nightly"] == ["nightly", "add", "0 3 * * *", next_run("0 3 * * *"), "-"]


@pytest.mark.databases("sqlite")
def test_no_tasks_are_told_where_they_would_stand(run: Run, tmp_path: Path) -> None:
    (tmp_path / "recurring.yml").write_text("")
    assert run("recurring").stdout == "There are no recurring tasks. They stand in config/recurring.yml.\n"


@pytest.mark.databases("sqlite")
def test_a_task_that_a_scheduler_runs_is_shown_once_with_its_last_run(site: Site) -> None:
    site.recur({"ticks": {"job": "noop", "args": ["tick"], "schedule": "every second"}})
    supervisor = site.supervisor(processes=4)
    site.wait_until(lambda: site.tables.states()["finished"] >= 1)
    assert site.flask("queue", "recurring", "pause", "ticks").stdout == "Paused ticks.\n"
    assert supervisor.terminate() == 0
    [line] = json.loads(site.flask("queue", "recurring", "--json").stdout)
    assert (line["key"], line["paused"], line["next_run_at"]) == ("ticks", True, None)
    assert datetime.now(UTC) - datetime.fromisoformat(line["last_run_at"]) < timedelta(minutes=1)


@pytest.mark.behaviour("H31")
def test_a_paused_task_enqueues_nothing_also_after_a_restart(site: Site) -> None:
    site.recur({name: {"job": "noop", "args": [name], "schedule": "every second"} for name in ("paused", "going")})
    first = site.supervisor(processes=4)
    assert site.flask("queue", "recurring", "pause", "paused").returncode == 0
    assert first.terminate() == 0
    before = enqueued(site)
    second = site.supervisor(processes=4)
    site.wait_until(lambda: enqueued(site)["going"] >= before["going"] + 3)
    assert second.terminate() == 0
    assert enqueued(site)["paused"] == before["paused"]


def enqueued(site: Site) -> Counter[str]:
    """How many jobs each task has enqueued, by what it calls itself in its arguments."""
    return Counter(json.loads(job.arguments)[0] for job in site.tables.jobs())
