"""Queues: all of them, whatever they are called, with sizes, ages and pauses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from flask_queue import FlaskQueue

from .visitor import Page, Visitor

NAMES = [
    "My-Queue_With.Special@Chars! and spaces",
    "a/b",
    "ü",
    "100%",
    "..",
    "a/../b",
    "/leading",
    "two//slashes",
    "trailing/",
    "a/pause",
    "x?y=1&z#f",
    "~tilde",
    "<b>&amp;",
    "キュー",
    "'\"",
    "clear",
]
Enqueue = Callable[..., int]


def paused(page: Page) -> bool:
    return "Paused" in page.heading


@pytest.mark.behaviour("P7")
def test_queues_are_sorted_by_name_with_their_sizes(
    viewer: Visitor, enqueue: Enqueue, site_app: Flask, queue: FlaskQueue
) -> None:
    for name, size in {"b": 2, "a": 1, "Z": 1}.items():
        for _ in range(size):
            enqueue("quiet", using={"queue": name})
    with site_app.app_context():
        queue.queues["empty and paused"].pause()
    page = viewer.get("/jobs/queues")
    sizes = [(row[0], row[1]) for row in page.rows]
    declared = [("default", "0"), ("low", "0"), ("mail", "0")]
    assert sizes == sorted([("Z", "1"), ("a", "1"), ("b", "2"), ("empty and paused Paused", "0"), *declared])
    assert page.heading == "Queues 7"


@pytest.mark.behaviour("P7")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.databases("sqlite")
def test_a_queue_of_any_name_is_seen_paused_and_resumed(operator: Visitor, enqueue: Enqueue, name: str) -> None:
    enqueue("quiet", using={"queue": name})
    listed = operator.get("/jobs/queues")
    [link] = [each for each in listed.main.all("a") if each.text == " ".join(name.split())]
    page = operator.get(link.attributes["href"])
    assert page.heading == name
    assert len(page.ids) == 1
    page = operator.press(page, "Pause")
    assert (paused(page), len(page.ids)) == (True, 1)
    [row] = [row for row in operator.get("/jobs/queues").rows if row[0] == f"{name} Paused"]
    assert row[-1].startswith("Resume")
    page = operator.press(page, "Resume")
    assert not paused(page)


@pytest.mark.behaviour("P7")
@pytest.mark.parametrize("name", ["a/b", "100%", "ü", "with space", "x?y"])
@pytest.mark.databases("sqlite")
def test_an_address_that_somebody_typed_is_understood(viewer: Visitor, enqueue: Enqueue, name: str) -> None:
    enqueue("quiet", using={"queue": name})
    assert viewer.get(f"/jobs/queues/{quote(name)}").heading == name
    assert viewer.get(f"/jobs/queues/{quote(name, safe='')}").heading == name


@pytest.mark.behaviour("P7")
def test_a_queue_is_paused_and_resumed_from_the_list(operator: Visitor, enqueue: Enqueue, work: Callable[[], int]) -> None:
    enqueue("failing")
    page = operator.press(operator.get("/jobs/queues"), "Pause mail")
    assert page.path == "/jobs/queues"
    assert page.notices == ["Queue “mail” is paused. What runs already goes on."]
    assert work() == 0
    page = operator.press(page, "Resume mail")
    assert work() == 1


@pytest.mark.behaviour("P7")
def test_pausing_twice_is_pausing_once(site_app: Flask) -> None:
    visitors = [Visitor(site_app, "operator") for _ in range(2)]
    pages = [visitor.get("/jobs/queues/mail") for visitor in visitors]
    for visitor, page in zip(visitors, pages, strict=True):
        assert paused(visitor.press(page, "Pause"))
    assert not paused(visitors[0].press(visitors[0].get("/jobs/queues/mail"), "Resume"))


def test_a_queue_is_cleared_by_an_admin(admin: Visitor, enqueue: Enqueue) -> None:
    for name in ("a", "a", "b"):
        enqueue("quiet", using={"queue": name})
    page = admin.press(admin.get("/jobs/queues/a"), "Clear")
    assert page.notices == ["Discarded 2 jobs of queue “a”"]
    assert admin.get("/jobs/ready").tabs["Ready"] == "1"


@pytest.mark.behaviour("P15")
def test_an_unknown_queue_leads_to_the_list_and_a_known_one_without_jobs_does_not(
    viewer: Visitor, enqueue: Enqueue, work: Callable[[], int]
) -> None:
    page = viewer.get("/jobs/queues/nobody's")
    assert (page.path, page.notices) == ("/jobs/queues", ["Queue with id 'nobody's' not found"])
    enqueue("quiet", using={"queue": "used before"})
    work()
    assert viewer.get("/jobs/queues/used%20before").heading == "used before"
    assert viewer.get("/jobs/queues/mail").heading == "mail"


@pytest.mark.databases("sqlite")
def test_a_name_that_no_queue_can_have_is_refused(operator: Visitor) -> None:
    page = operator.post("/jobs/queues/a*/pause", {"csrf_token": operator.token()})
    assert page.status == 200
    assert "neither * nor comma" in page.notices[0]


def test_the_age_of_a_queue_is_that_of_its_longest_waiting_job(viewer: Visitor, add: Callable[..., None]) -> None:
    """Also when jobs of a better priority, younger than it, stand before it in line."""
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    early = [{"id": 1, "priority": 9, "scheduled_at": now - 3 * hour}]
    add(*early, *({"id": id, "scheduled_at": now - hour} for id in range(2, 60)))
    [row] = [row for row in viewer.get("/jobs/queues").rows if row[0] == "default"]
    assert row[3] == "3 h"


@pytest.mark.databases("sqlite")
def test_many_queues_are_paged(viewer: Visitor, add: Callable[..., None]) -> None:
    add(*({"id": number, "queue_name": f"queue {number:03}"} for number in range(1, 121)))
    pages = [viewer.get(f"/jobs/queues?page={number}") for number in (1, 2, 3)]
    assert [len(page.rows) for page in pages] == [50, 50, 23]
    names: list[Any] = [row[0] for page in pages for row in page.rows]
    assert names == sorted(names)
