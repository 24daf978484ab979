"""The lists of jobs: counts, order, paging, filters, and buttons that act on what is shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.dashboard.queries import lists
from flask_queue.dashboard.views import lists as list_views

from .conftest import NOTHING, NOW
from .visitor import Visitor

Add = Callable[..., None]
SLUGS = ("failed", "in-progress", "ready", "scheduled", "blocked", "finished")
MINUTE = timedelta(minutes=1)


def finished(id: int, at: datetime, **values: Any) -> dict[str, Any]:
    return {"id": id, "state": "finished", "claimed_at": at - timedelta(seconds=2), "finished_at": at, **values}


# --- states, counts and order -------------------------------------------------------------------------


@pytest.mark.behaviour("P8")
def test_each_state_has_its_page_and_its_count(
    admin: Visitor, add: Add, add_failed: Add, enqueue: Callable[..., int], queue: FlaskQueue
) -> None:
    add_failed({"id": 1}, {"id": 2}, {"id": 3})
    add(
        {"id": 11, "state": "claimed", "process_id": 9, "claimed_at": NOW},
        {"id": 12, "state": "scheduled", "scheduled_at": NOW + MINUTE},
        {"id": 13, "state": "blocked", "concurrency_key": "key"},
        {"id": 14},
        {"id": 15},
        finished(16, NOW),
    )
    sizes = {"Failed": "3", "In progress": "1", "Ready": "2", "Scheduled": "1", "Blocked": "1", "Finished": "1"}
    assert admin.get("/jobs/").tabs == sizes
    for slug, (title, size) in zip(SLUGS, sizes.items(), strict=True):
        page = admin.get(f"/jobs/{slug}")
        assert page.heading == f"{title} {size}"
        assert len(page.rows) == int(size)


@pytest.mark.behaviour("P13")
def test_each_list_has_the_order_of_its_state(admin: Visitor, add: Add, add_failed: Add) -> None:
    add_failed({"id": 1}, {"id": 2})
    add(
        *({"id": id, "state": "claimed", "process_id": 9, "claimed_at": NOW} for id in (12, 11)),
        *({"id": 20 + n, "priority": priority} for n, priority in enumerate((5, 0, 5, 0))),
        *({"id": 30 + n, "state": "scheduled", "scheduled_at": NOW + n * MINUTE} for n in (3, 1, 2)),
        *({"id": 40 + n, "state": "blocked", "concurrency_key": f"key {9 - n}"} for n in (2, 1)),
        *(finished(50 + n, NOW - n * MINUTE) for n in (3, 1, 2)),
    )
    orders = {
        "failed": [2, 1],
        "in-progress": [11, 12],
        "ready": [21, 23, 20, 22],
        "scheduled": [31, 32, 33],
        "blocked": [41, 42],
        "finished": [51, 52, 53],
    }
    assert {slug: admin.get(f"/jobs/{slug}").ids for slug in SLUGS} == orders


@pytest.mark.databases("sqlite")
def test_an_empty_list_says_what_would_stand_in_it(admin: Visitor) -> None:
    for slug in SLUGS:
        page = admin.get(f"/jobs/{slug}")
        assert (page.rows, page.buttons) == ([], [])
        assert page.main.all("p", class_="empty-title") or page.text
    assert "Nothing has failed" in admin.get("/jobs/failed").text


@pytest.mark.behaviour("P14")
def test_a_failed_job_shows_its_last_error(
    admin: Visitor, enqueue: Callable[..., int], work: Callable[[], int], status: Callable[[int], str | None]
) -> None:
    job_id = enqueue("failing", 7, secret="of nobody's business")
    work()
    [row] = admin.get("/jobs/failed").rows
    assert row[0] == f"failing #{job_id} 7, secret=[FILTERED]"
    assert row[1].endswith("ValueError on purpose")
    assert row[2:4] == ["mail", "1"]


@pytest.mark.behaviour("P16")
@pytest.mark.parametrize(
    ("seconds", "words", "late"),
    [(70, "in 1 minute", False), (-30, "30 seconds ago", False), (-59, "59 seconds ago", False), (-70, "1 minute ago", True)],
)
def test_a_due_time_is_said_as_people_do_and_lateness_is_marked(
    admin: Visitor, add: Add, seconds: int, words: str, late: bool
) -> None:
    add({"id": 1, "state": "scheduled", "scheduled_at": datetime.now(UTC) + timedelta(seconds=seconds)})
    [row] = admin.get("/jobs/scheduled").rows
    shown = row[3].removesuffix(" Delayed")
    assert (row[3] != shown) == late
    number, _, unit = words.removeprefix("in ").partition(" ")
    assert unit in shown
    assert abs(int("".join(filter(str.isdigit, shown))) - int(number)) <= 5


# --- paging -------------------------------------------------------------------------------------------


@pytest.mark.behaviour("P12")
def test_pages_neither_repeat_nor_lose_a_row_with_equal_times(admin: Visitor, add: Add) -> None:
    add(*(finished(id, NOW) for id in range(1, 24)))
    pages = [admin.get(f"/jobs/finished?size=10&page={number}") for number in (1, 2, 3)]
    assert [len(page.ids) for page in pages] == [10, 10, 3]
    assert [id for page in pages for id in page.ids] == list(range(23, 0, -1))
    assert f"11{NOTHING}20 of 23" in pages[1].text
    assert "2 / 3" in pages[1].text


@pytest.mark.behaviour("P12")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("number", "shown"),
    [("0", 1), ("-1", 1), ("x", 1), ("", 1), ("999", 3), ("9" * 5000, 3), ("2", 2), ("1e1", 1), ("٢", 2)],
)
def test_a_page_number_that_makes_no_sense_leads_to_the_nearest_page(admin: Visitor, add: Add, number: str, shown: int) -> None:
    add(*({"id": id} for id in range(1, 7)))
    page = admin.get("/jobs/ready", query_string={"size": "2", "page": number})
    assert page.status == 200
    assert len(page.ids) == 2
    assert f"{shown} / 3" in page.text


@pytest.mark.databases("sqlite")
def test_links_to_other_pages_keep_the_filters(admin: Visitor, add: Add) -> None:
    add(*({"id": id, "queue_name": "a&b"} for id in range(1, 5)), {"id": 9})
    page = admin.get("/jobs/ready", query_string={"size": "2", "queue": "a&b", "unknown": "x"})
    [link] = page.main.all("a", rel="next")
    assert "unknown" not in link.attributes["href"]
    following = admin.get(link.attributes["href"])
    assert following.ids == [3, 4]


# --- filters ------------------------------------------------------------------------------------------


@pytest.mark.behaviour("P9")
def test_filters_work_in_any_combination(admin: Visitor, add: Add) -> None:
    names, queues = ("quiet", "failing"), ("mail", "low")
    rows = [
        finished(1 + n + 2 * q, NOW - n * MINUTE, name=name, queue_name=queue, arguments=f'{{"args": ["{name}%_{queue}"]}}')
        for n, name in enumerate(names)
        for q, queue in enumerate(queues)
    ]
    add(*rows)

    def ids(**filters: str) -> set[int]:
        page = admin.get("/jobs/finished", query_string=filters)
        assert page.heading == f"Finished {len(page.ids)}"
        return set(page.ids)

    assert ids(name="quiet") == {1, 3}
    assert ids(queue="low") == {3, 4}
    assert ids(name="failing", queue="low") == {4}
    assert ids(search="quiet%_") == {1, 3}
    assert ids(search="%_mail", name="failing") == {2}
    assert ids(search="QUIET%_m") == {1}
    assert ids(search="t_l") == set()
    assert ids(name="quie") == set()
    between = {
        "finished_after": f"{NOW - MINUTE / 2:%Y-%m-%dT%H:%M:%S}",
        "finished_before": f"{NOW + MINUTE:%Y-%m-%dT%H:%M:%S}",
    }
    assert ids(**between) == {1, 3}
    assert ids(**between, queue="mail") == {1}


@pytest.mark.databases("sqlite")
@pytest.mark.behaviour("P5")
@pytest.mark.parametrize("text", ["s3", "x"])
def test_who_is_no_admin_cannot_find_hidden_arguments_out_by_searching(
    site_app: Flask, enqueue: Callable[..., int], text: str
) -> None:
    job_id = enqueue("quiet", password="s3cret")
    for role in ("viewer", "operator"):
        page = Visitor(site_app, role).get("/jobs/ready", query_string={"search": text})
        assert (page.ids, page.heading) == ([job_id], "Ready 1")
        assert "Only an admin may search" in page.notices[0]
        assert page.main.all("input", name="search") == []
    admin = Visitor(site_app, "admin")
    assert admin.get("/jobs/ready", query_string={"search": text}).ids == ([job_id] if text == "s3" else [])
    assert len(admin.get("/jobs/ready").main.all("input", name="search")) == 1


@pytest.mark.behaviour("P9")
def test_times_are_read_and_shown_in_the_zone_of_the_application(make_site: Callable[..., Flask], queue: FlaskQueue) -> None:
    app = make_site(QUEUE_TIME_ZONE="Etc/GMT+12")  # half a day behind UTC
    with app.app_context():
        queue.definitions["quiet"].enqueue()
        queue.work()
    admin = Visitor(app, "admin")
    here = datetime.now(ZoneInfo("Etc/GMT+12"))
    hour = timedelta(hours=1)

    def ids(start: datetime, end: datetime) -> list[int]:
        texts = {"finished_after": f"{start:%Y-%m-%dT%H:%M}", "finished_before": f"{end:%Y-%m-%dT%H:%M}"}
        return admin.get("/jobs/finished", query_string=texts).ids

    assert len(ids(here - hour, here + hour)) == 1
    assert ids(here + hour, here + 2 * hour) == []
    assert f"{here:%Y-%m-%d %H:}" in admin.get(f"/jobs/{ids(here - hour, here + hour)[0]}").text


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("text", ["yesterday", "2030-13-01T00:00", "0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_time_that_is_none_is_said_so_and_shows_nothing(make_site: Callable[..., Flask], text: str) -> None:
    zone = "Etc/GMT+12" if text.startswith("9") else "Etc/GMT-12"
    admin = Visitor(make_site(QUEUE_TIME_ZONE=zone), "admin")
    page = admin.get("/jobs/finished", query_string={"finished_after": text})
    assert page.status == 200
    assert any(text in notice for notice in page.notices)


def test_failed_jobs_can_be_looked_at_by_their_error(admin: Visitor, add_failed: Add) -> None:
    add_failed(*({"id": id, "error_class": "KeyError" if id < 3 else "smtplib.Lost"} for id in range(1, 6)))
    page = admin.get("/jobs/failed")
    [chips] = page.main.all("ul", class_="chips") or [next(e for e in page.main.all("ul") if "chips" in e.attributes["class"])]
    assert [chip.text for chip in chips.all("a")] == ["smtplib.Lost 3", "KeyError 2"]
    assert admin.get(chips.all("a")[1].attributes["href"]).ids == [2, 1]


def test_only_the_last_error_of_a_job_counts(
    admin: Visitor, queue: FlaskQueue, enqueue: Callable[..., int], work: Callable[[], int]
) -> None:
    raised: list[type[Exception]] = [KeyError, IndexError]

    @queue.job(name="fickle")
    def fickle() -> None:
        raise raised.pop(0)

    job_id = enqueue("fickle")
    work()
    admin.press(admin.get(f"/jobs/{job_id}"), "Retry")
    work()
    assert admin.get("/jobs/failed?error_class=IndexError").ids == [job_id]
    assert admin.get("/jobs/failed?error_class=KeyError").ids == []


def test_a_filter_without_an_index_looks_at_the_head_of_the_list_and_says_so(
    admin: Visitor, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "SCAN_LIMIT", 3)
    monkeypatch.setattr(list_views, "SCAN_LIMIT", 3)
    add(*(finished(id, NOW - id * MINUTE) for id in range(1, 6)))
    page = admin.get("/jobs/finished?name=quiet")
    assert page.ids == [1, 2, 3]
    assert "Only the first 3 jobs of this list were searched" in page.text


# --- acting on all of them ----------------------------------------------------------------------------


@pytest.fixture
def nine_failures(add_failed: Add) -> None:
    """Six failing jobs and three quiet ones; four in queue_1, five in queue_2."""
    add_failed(
        *({"id": id, "name": "failing" if id <= 6 else "quiet", "queue_name": f"queue_{1 + (id > 4)}"} for id in range(1, 10))
    )


@pytest.mark.behaviour("P10", "P11")
@pytest.mark.parametrize(
    ("query", "verb", "said", "left"),
    [
        ("", "Retry", "Retried 9 jobs", 0),
        ("?name=failing", "Retry", "Retried 6 jobs", 3),
        ("?queue=queue_1", "Retry", "Retried 4 jobs", 5),
        ("", "Discard", "Discarded 9 jobs", 0),
        ("?name=failing", "Discard", "Discarded 6 jobs", 3),
        ("?queue=queue_2", "Discard", "Discarded 5 jobs", 4),
        ("?queue=queue_2&name=quiet", "Discard", "Discarded 3 jobs", 6),
        ("?queue=queue_2&size=2&page=2", "Retry", "Retried 5 jobs", 4),
    ],
)
def test_a_bulk_action_acts_on_the_selection_and_says_on_how_many(
    admin: Visitor, nine_failures: None, query: str, verb: str, said: str, left: int
) -> None:
    page = admin.press(admin.get(f"/jobs/failed{query}"), f"{verb} {'all' if query == '' else said.split()[1]}")
    assert page.notices == [said]
    assert (page.path, page.response.request.args.to_dict()) == (
        "/jobs/failed",
        dict(pair.split("=") for pair in query[1:].split("&") if pair),
    )
    assert admin.get("/jobs/failed").tabs["Failed"] == str(left)


@pytest.mark.behaviour("P11")
def test_a_bulk_action_takes_the_selection_as_it_is_when_clicked(admin: Visitor, nine_failures: None, add_failed: Add) -> None:
    page = admin.get("/jobs/failed?name=quiet")
    add_failed({"id": 20, "name": "quiet"}, {"id": 21, "name": "failing"})
    assert admin.press(page, "Retry").notices == ["Retried 4 jobs"]
    assert admin.get("/jobs/failed").ids == [21, 6, 5, 4, 3, 2, 1]


@pytest.mark.behaviour("P11")
@pytest.mark.parametrize("verb", ["retry-all", "discard-all"])
def test_a_bulk_action_whose_filter_is_not_understood_does_nothing(admin: Visitor, add: Add, verb: str) -> None:
    add(finished(1, NOW))
    fields = {"csrf_token": admin.token(), "finished_after": "yesterday"}
    if verb == "discard-all":
        assert admin.send("/jobs/finished/discard-all", fields).status_code == 400
    assert admin.get("/jobs/finished").ids == [1]


def test_a_bulk_action_by_error_acts_on_that_error(admin: Visitor, add_failed: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_views, "BULK_LIMIT", 2)
    add_failed(*({"id": id, "error_class": "KeyError" if id <= 3 else "IndexError"} for id in range(1, 6)))
    page = admin.press(admin.get("/jobs/failed?error_class=KeyError"), "Retry the first 2")
    assert page.notices == ["Retried 2 jobs"]
    assert page.ids == [1]
    assert admin.press(page, "Discard").notices == ["Discarded 1 job"]
    assert admin.get("/jobs/failed").ids == [5, 4]


@pytest.mark.databases("sqlite")
def test_running_jobs_cannot_be_discarded_by_the_list(admin: Visitor, add: Add) -> None:
    add({"id": 1, "state": "claimed", "process_id": 9, "claimed_at": NOW})
    assert admin.get("/jobs/in-progress").buttons == []
    page = admin.post("/jobs/in-progress/discard-all", {"csrf_token": admin.token()})
    assert "cannot be discarded" in page.notices[0]
    assert page.ids == [1]


@pytest.mark.parametrize("slug", ["ready", "scheduled", "blocked", "finished"])
def test_a_list_of_jobs_that_nobody_runs_can_be_discarded(admin: Visitor, add: Add, slug: str) -> None:
    add(
        {"id": 1},
        {"id": 2, "state": "scheduled", "scheduled_at": NOW + MINUTE},
        {"id": 3, "state": "blocked", "concurrency_key": "key", "concurrency_limit": 1},
        finished(4, NOW),
    )
    assert admin.press(admin.get(f"/jobs/{slug}"), "Discard 1 job").notices == ["Discarded 1 job"]
    assert sorted(admin.get("/jobs/").tabs.values()) == ["0", "0", "0", "1", "1", "1"]
