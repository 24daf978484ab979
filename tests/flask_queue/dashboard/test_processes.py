"""Processes: who is there, what they run, who has fallen silent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import NOTHING, NOW
from .visitor import Visitor

Add = Callable[..., None]


@pytest.mark.behaviour("P18")
def test_processes_show_what_they_run_and_when_they_were_last_heard_of(viewer: Visitor, add: Add, add_process: Add) -> None:
    add_process(id=1, kind="Supervisor")
    add_process(id=5, kind="Worker", supervisor_id=1, metadata={"queues": ["mail", "low*"], "thread_pool_size": 3})
    add_process(id=6, kind="Worker", supervisor_id=1, silent_for=61)
    add_process(id=2, kind="Dispatcher", supervisor_id=99)
    add(*({"id": id, "state": "claimed", "process_id": 5, "claimed_at": NOW} for id in (10, 11)))
    page = viewer.get("/jobs/processes")
    assert page.heading == "Processes 4"
    by_name = {row[0]: row for row in page.rows}
    assert list(by_name) == ["Supervisor #1", "Worker #5 mail, low*", "Worker #6 Stale", "Dispatcher #2"]
    assert by_name["Worker #5 mail, low*"][1:4] == ["4005", "host-a", "2"]
    assert by_name["Worker #6 Stale"][3] == "0"
    assert by_name["Worker #6 Stale"][5] == "1 minute ago"
    assert by_name["Supervisor #1"][3] == NOTHING

    worker = viewer.get("/jobs/processes/5")
    assert worker.ids == [10, 11]
    assert "thread_pool_size 3" in worker.text
    assert "Supervisor 1" in worker.text
    assert "99 Gone" in viewer.get("/jobs/processes/2").text
    assert "Worker 5 pid 4005" in viewer.get("/jobs/processes/1").text


@pytest.mark.behaviour("P18")
def test_a_running_job_names_its_process_also_when_that_is_gone(viewer: Visitor, add: Add, add_process: Add) -> None:
    add_process(id=5)
    add(*({"id": id, "state": "claimed", "process_id": id, "claimed_at": NOW} for id in (5, 6)))
    rows = viewer.get("/jobs/in-progress").rows
    assert [row[2] for row in rows] == ["Worker 5", "Gone"]
    assert "Gone" in viewer.get("/jobs/6").text


@pytest.mark.behaviour("P15", "P18")
def test_an_unknown_process_leads_to_the_list(viewer: Visitor) -> None:
    page = viewer.get("/jobs/processes/77")
    assert (page.path, page.notices) == ("/jobs/processes", ["Process with id '77' not found"])
    assert "flask queue start" in page.text


def test_an_idle_worker_says_so(viewer: Visitor, add_process: Add) -> None:
    add_process(id=5)
    assert "This worker is waiting for jobs." in viewer.get("/jobs/processes/5").text
