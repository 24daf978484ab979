"""The overview: what is wrong, what ran, what failed, what comes next, and what other extensions say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from flask_queue import FlaskQueue

from .visitor import Element, Page, Visitor

Add = Callable[..., None]


def card(page: Page, title: str) -> Element:
    """The part of the page under this heading."""
    [found] = [each for each in page.main.all("section") if any(head.text == title for head in each.all("h2"))]
    return found


def test_an_empty_queue_says_what_to_do(viewer: Visitor) -> None:
    page = viewer.get("/jobs/")
    assert "No process of the queue is running: start flask queue start ." in card(page, "What needs attention").text
    assert "Nothing has run in this time" in card(page, "Throughput").text
    assert "Nothing has failed." in card(page, "Failures by error").text
    assert "config/recurring.yml" in card(page, "Next recurring runs").text


def test_a_healthy_queue_says_so(viewer: Visitor, add_process: Add) -> None:
    for id, kind in enumerate(("Supervisor", "Worker", "Dispatcher", "Scheduler"), 1):
        add_process(id=id, kind=kind)
    page = viewer.get("/jobs/")
    assert "Healthy" in page.text
    assert card(page, "Processes").text.count("seconds ago") + card(page, "Processes").text.count("just now") == 4


def test_the_chart_counts_what_finished_and_failed_in_its_time(viewer: Visitor, add: Add, add_failed: Add) -> None:
    now = datetime.now(UTC)
    ages = [1, 2, 30, 59, 61, 600, 5000]
    add(*({"id": n, "state": "finished", "finished_at": now - timedelta(minutes=age)} for n, age in enumerate(ages, 1)))
    add_failed({"id": 50}, {"id": 51})
    hour, day = (card(viewer.get(f"/jobs/?period={period}"), "Throughput") for period in ("hour", "day"))
    assert "4 finished" in hour.text
    assert "2 failed attempts" in hour.text
    assert "6 finished" in day.text
    titles = [title.children[0] for title in hour.all("title")]
    assert sum("1 job finished" in str(title) for title in titles) == 4
    assert sum("2 attempts failed" in str(title) for title in titles) == 1


@pytest.mark.databases("sqlite")
def test_an_unknown_period_is_the_last_hour(viewer: Visitor) -> None:
    assert viewer.get("/jobs/?period=century").status == 200


def test_failures_lead_to_the_jobs_behind_them(viewer: Visitor, add_failed: Add) -> None:
    add_failed(*({"id": id, "error_class": "a.B" if id > 1 else "c.D"} for id in range(1, 4)))
    links = [link for link in card(viewer.get("/jobs/"), "Failures by error").all("a") if link.text in ("a.B", "c.D")]
    assert [link.text for link in links] == ["a.B", "c.D"]
    assert viewer.get(links[0].attributes["href"]).ids == [3, 2]


def test_the_busiest_queues_stand_first(viewer: Visitor, add: Add) -> None:
    add(*({"id": id, "queue_name": "busy" if id > 2 else "calm"} for id in range(1, 8)))
    names = [each.text for each in card(viewer.get("/jobs/"), "Queues").all("span", class_="line-name")]
    assert names[:2] == ["busy", "calm"]


def test_what_runs_next_stands_first_and_before_it_what_is_broken(viewer: Visitor, site_app: Flask, queue: FlaskQueue) -> None:
    with site_app.app_context():
        for key, schedule in {"often": "every minute", "seldom": "every day at 3am"}.items():
            queue.schedule_recurring_task(key, job="quiet", schedule=schedule)
        queue.schedule_recurring_task("orphan", job="failing", schedule="every day at 3am")
        queue.recurring_tasks["seldom"].pause()
        del queue.definitions._by_name["failing"]  # the job was renamed in a later version
    lines = card(viewer.get("/jobs/"), "Next recurring runs").all("li")
    assert [line.text.split()[0] for line in lines] == ["orphan", "often", "seldom"]
    assert ["Broken" in lines[0].text, "Paused" in lines[2].text] == [True, True]


@pytest.mark.databases("sqlite")
def test_other_extensions_have_their_say_and_cannot_break_the_page(viewer: Visitor, site_app: Flask, queue: FlaskQueue) -> None:
    def broken() -> Iterable[tuple[str, str, bool]]:
        raise RuntimeError("no backup")

    with site_app.app_context():
        queue.overview_note("Backups", lambda: [("primary", "2 minutes ago", True), ("queue", "<late>", False)], "/backups")
        queue.overview_note("Broken", broken)
    page = viewer.get("/jobs/")
    assert card(page, "Backups").text == "Backups Details primary 2 minutes ago queue <late>"
    assert [link.attributes["href"] for link in card(page, "Backups").all("a")] == ["/backups"]
    assert "RuntimeError: no backup" in card(page, "Broken").text


@pytest.mark.databases("sqlite")
@pytest.mark.behaviour("P3")
@pytest.mark.parametrize("url", ["/backups", "/site/backups", "/sites", "//cdn.example/x", "https://cdn.example/x", "backups"])
def test_the_pages_of_other_extensions_are_found_where_the_application_is_mounted(
    site_app: Flask, queue: FlaskQueue, url: str
) -> None:
    with site_app.app_context():
        queue.overview_note("Backups", lambda: [], url)
    page = Visitor(site_app, "viewer", SCRIPT_NAME="/site").get("/jobs/")
    [link] = card(page, "Backups").all("a")
    assert link.attributes["href"] == {"/backups": "/site/backups", "/sites": "/site/sites"}.get(url, url)


@pytest.mark.databases("sqlite")
def test_many_problems_do_not_fill_the_page(viewer: Visitor, site_app: Flask, queue: FlaskQueue) -> None:
    with site_app.app_context():
        queue.health_check("disk", lambda: [f"Disk {number} is full." for number in range(20)])
    page = viewer.get("/jobs/")
    assert "21 problems" in page.text
    assert "and 15 more" in page.text
