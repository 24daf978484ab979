"""Recurring tasks: schedules, last and next runs, and what can be done to a task."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from flask_queue import FlaskQueue
from flask_queue.models import recurring_runs, recurring_tasks

from .conftest import NOTHING, NOW, write
from .visitor import Visitor


@pytest.fixture
def schedule(site_app: Flask, queue: FlaskQueue) -> Callable[..., None]:
    def schedule(key: str, job: str = "quiet", schedule: str = "every day at 3am", **options: object) -> None:
        with site_app.app_context():
            queue.schedule_recurring_task(key, job=job, schedule=schedule, **options)  # type: ignore[arg-type]

    return schedule


@pytest.mark.behaviour("P19")
def test_tasks_show_their_schedule_last_and_next_run_and_can_be_run_now(
    operator: Visitor, schedule: Callable[..., None], work: Callable[[], int]
) -> None:
    schedule("nightly", queue="low", description="Sweeps the floor.", kwargs={"token": "hush", "days": 3})
    [row] = operator.get("/jobs/recurring").rows
    assert row[0] == "nightly quiet"
    assert row[1:3] == ["every day at 3am", NOTHING]
    assert row[3].startswith("in ")

    page = operator.press(operator.get("/jobs/recurring"), "Run now")
    assert page.path == "/jobs/recurring"
    assert page.notices[0].startswith("Enqueued job ")
    assert page.rows[0][2].endswith(("ago", "just now"))
    assert work() == 1

    task = operator.get("/jobs/recurring/nightly")
    assert task.heading == "nightly"
    assert "Sweeps the floor." in task.text
    assert "token=[FILTERED], days=3" in task.text
    assert "hush" not in task.response.text
    [run] = task.rows
    assert run[2] == "Finished"
    [link] = [each for each in task.main.all("a") if each.text == run[1]]
    assert operator.get(link.attributes["href"]).heading == "quiet"


@pytest.mark.behaviour("P19")
def test_a_run_whose_job_has_been_cleared_stays(admin: Visitor, schedule: Callable[..., None], work: Callable[[], int]) -> None:
    schedule("nightly")
    admin.press(admin.get("/jobs/recurring/nightly"), "Run now")
    work()
    admin.press(admin.get("/jobs/finished"), "Discard 1 job")
    [run] = admin.get("/jobs/recurring/nightly").rows
    assert run[2:] == ["cleared", NOTHING]


@pytest.mark.behaviour("P19")
def test_of_many_runs_the_page_says_that_it_shows_the_latest(
    viewer: Visitor, site_app: Flask, queue: FlaskQueue, schedule: Callable[..., None]
) -> None:
    schedule("nightly")
    ticks = [{"task_key": "nightly", "run_at": NOW - timedelta(days=n), "created_at": NOW} for n in range(51)]
    with site_app.app_context():
        write(queue, recurring_runs, ticks[:2])
        assert "The latest 50." not in viewer.get("/jobs/recurring/nightly").text
        write(queue, recurring_runs, ticks[2:])
    page = viewer.get("/jobs/recurring/nightly")
    assert len(page.rows) == 50
    assert "The latest 50." in page.text


@pytest.mark.behaviour("P19")
def test_the_list_takes_as_many_statements_for_many_tasks_as_for_one(
    viewer: Visitor, site_app: Flask, queue: FlaskQueue, schedule: Callable[..., None]
) -> None:
    counted: list[str] = []
    with site_app.app_context():
        engine = queue.database.engine
    event.listen(engine, "before_cursor_execute", lambda *call: counted.append(call[2]))
    sizes = []
    for number in range(12):
        schedule(f"task {number}")
        counted.clear()
        viewer.get("/jobs/recurring")
        sizes.append(len(counted))
    assert len(set(sizes)) == 1


def test_a_task_is_paused_resumed_and_removed_by_an_admin(
    admin: Visitor, site_app: Flask, queue: FlaskQueue, schedule: Callable[..., None]
) -> None:
    schedule("nightly")
    page = admin.press(admin.get("/jobs/recurring"), "Pause")
    assert page.rows[0][0] == "nightly Paused quiet"
    assert page.rows[0][3] == NOTHING
    with site_app.app_context():
        assert queue.recurring_tasks["nightly"].paused
    page = admin.press(admin.get("/jobs/recurring/nightly"), "Resume")
    assert page.notices == ["Recurring task “nightly” will run again."]
    page = admin.press(page, "Remove")
    assert (page.path, page.notices) == ("/jobs/recurring", ["Recurring task “nightly” was removed."])
    assert "No recurring tasks" in page.text


@pytest.mark.behaviour("P15")
@pytest.mark.parametrize("verb", [None, "run", "pause", "unschedule"])
def test_an_unknown_task_leads_to_the_list(admin: Visitor, verb: str | None) -> None:
    path = "/jobs/recurring/no/such%20one"
    page = admin.post(f"{path}/{verb}", {"csrf_token": admin.token()}) if verb else admin.get(path)
    assert (page.path, page.notices) == ("/jobs/recurring", ["Recurring task with id 'no/such one' not found"])


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("key", ["a/b", "100%", "..", "x/run", "ü ü", "~"])
def test_a_task_of_any_name_can_be_seen_and_run(operator: Visitor, schedule: Callable[..., None], key: str) -> None:
    schedule(key)
    [link] = [each for each in operator.get("/jobs/recurring").main.all("a") if each.text == key]
    page = operator.press(operator.get(link.attributes["href"]), "Run now")
    assert page.heading == key
    assert len(page.rows) == 1


@pytest.mark.behaviour("P21")
def test_a_task_that_cannot_run_says_why(admin: Visitor, site_app: Flask, queue: FlaskQueue) -> None:
    common = {"arguments": "[]", "time_zone": "UTC", "catch_up": 0, "static": True, "effective_at": NOW, "created_at": NOW}
    rows = [
        {"key": "gone", "job_name": "removed.job", "schedule": "every day at 3am", **common},
        {"key": "unreadable", "job_name": "quiet", "schedule": "when the moon is full", **common},
    ]
    with site_app.app_context():
        write(queue, recurring_tasks, rows)
    assert ["Broken" in row[0] for row in admin.get("/jobs/recurring").rows] == [True, True]
    assert "No job removed.job is registered." in admin.get("/jobs/recurring/gone").notices
    assert "when the moon is full" in admin.get("/jobs/recurring/unreadable").notices[0]
    page = admin.press(admin.get("/jobs/recurring/gone"), "Run now")
    assert "removed.job" in page.notices[0]
    assert admin.get("/jobs/").tabs["Ready"] == "0"
