"""`flask queue status`: jobs by state, queues, processes and problems."""

from __future__ import annotations

import json
from types import SimpleNamespace

from flask_queue import FlaskQueue

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


def test_machines_get_the_same(run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]) -> None:
    status = json.loads(run("status", "--json").stdout)
    assert status["jobs"] == {"scheduled": 0, "ready": 0, "blocked": 0, "claimed": 0, "finished": 0, "failed": 3}
    assert {one["name"]: (one["size"], one["paused"]) for one in status["queues"]} == {
        "default": (0, False),
        "mail": (0, False),
    }
    assert status["processes"] == []
    assert status["problems"] == queue.health()
