"""`flask queue status`: jobs by state, queues, processes and problems."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from flask_queue import FlaskQueue
from flask_queue.database import now_plus
from flask_queue.models.process import Kind, processes
from flask_queue.operations import registration
from tests.flask_queue.operations.by_hand import register

from .conftest import Run


def test_jobs_are_counted_by_state_and_queues_by_name(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]
) -> None:
    jobs.add.enqueue(1)
    jobs.welcome.using(wait=600).enqueue(1)
    queue.queues["mail"].pause()
    lines = [line.split() for line in run("status").stdout.splitlines()]
    for expected in (["ready", "1"], ["scheduled", "1"], ["failed", "3"], ["finished", "0"]):
        assert expected in lines
    assert [line for line in lines if line[:1] == ["mail"]] == [["mail", "0", "0", "s", "paused"]]
    assert [line[:2] for line in lines if line[:1] == ["default"]] == [["default", "1"]]


def test_that_nothing_runs_is_told(run: Run, jobs: SimpleNamespace) -> None:
    assert "Start them with `flask queue start`." in run("status").stdout


@pytest.mark.behaviour("I10")
def test_a_heartbeats_age_is_told_by_the_databases_clock(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By which the dead are judged, too. Here it is half a minute ahead of this host's."""
    register(queue, Kind.WORKER, "worker")
    monkeypatch.setattr(registration, "_ALL", select(processes, now_plus(30).label("now")))
    [line] = [line for line in run("status").stdout.splitlines() if line.startswith("Worker")]
    assert 30 <= int(line.split("here")[1].split("s ago")[0]) < 50
    [process] = json.loads(run("status", "--json").stdout)["processes"]
    assert 30 <= process["silent_for"] < 50
    assert not process["stale"]


def test_machines_get_the_same(run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]) -> None:
    status = json.loads(run("status", "--json").stdout)
    assert status["jobs"] == {"scheduled": 0, "ready": 0, "blocked": 0, "claimed": 0, "finished": 0, "failed": 3}
    assert {one["name"]: (one["size"], one["paused"]) for one in status["queues"]} == {
        "default": (0, False),
        "mail": (0, False),
    }
    assert status["processes"] == []
    assert status["problems"] == queue.health()


@pytest.mark.databases("postgresql")
def test_what_will_make_the_queue_slower_is_a_warning_and_no_problem(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warnings() -> list[str]:
        status = json.loads(run("status", "--json").stdout)
        assert status["problems"] == queue.health()
        return status["warnings"]  # type: ignore[no-any-return]

    with queue.database.connect() as connection:
        off = connection.exec_driver_sql("SHOW autovacuum").scalar_one() == "off"
    of_server = ["PostgreSQL's autovacuum is off"] if off else []
    assert [warning[:30] for warning in warnings()] == of_server

    with queue.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE queue_jobs SET (autovacuum_enabled = off)")
    of_table = [*of_server, "autovacuum is off for the tabl"]
    assert [warning[:30] for warning in warnings()] == of_table

    with queue.database.begin() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SELECT 1")
        assert len(warnings()) == len(of_table)
        monkeypatch.setattr("flask_queue.database.upkeep._LONG_TRANSACTION", -1.0)
        assert [warning[:30] for warning in warnings()] == [*of_table, "A transaction has been open fo"]
        assert "\nWarning: A transaction has been open for 0.0 hours in the queue's database" in run("status").stdout


@pytest.mark.databases("sqlite", "mariadb")
def test_other_databases_clean_up_by_themselves(run: Run, jobs: SimpleNamespace) -> None:
    assert json.loads(run("status", "--json").stdout)["warnings"] == []
