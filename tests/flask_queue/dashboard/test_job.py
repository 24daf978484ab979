"""One job: all that is known of it, and what can be done to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from flask_queue import FlaskQueue, Retry

from .conftest import NOTHING, NOW
from .visitor import Visitor

Status = Callable[[int], str | None]
Add = Callable[..., None]


@pytest.mark.behaviour("P14")
def test_the_page_shows_all_about_a_job_each_attempt_included(
    admin: Visitor, queue: FlaskQueue, enqueue: Callable[..., int], work: Callable[[], int]
) -> None:
    raised = [ConnectionError("no line"), TimeoutError("too slow")]

    @queue.job(name="unlucky", queue="mail", priority=7, retry=Retry(attempts=2, on=(ConnectionError,), wait=0))
    def unlucky(number: int, *, api_token: str) -> None:
        raise raised.pop(0)

    job_id = enqueue("unlucky", 5, api_token="hush")
    while raised:
        work()
    page = admin.get(f"/jobs/{job_id}")
    assert page.heading == "unlucky"
    assert f"Failed #{job_id} in queue mail" in page.text
    facts = {title.text: value.text for title, value in zip(page.main.all("dt"), page.main.all("dd"), strict=True)}
    assert facts["Priority"] == "7"
    assert facts["Attempts"] == "2"
    assert "5, api_token=[FILTERED]" in page.text
    assert "hush" not in page.response.text
    error, *attempts = [each.text for each in page.main.all("span") if each.attributes.get("class") == "error-class"]
    assert error.endswith("TimeoutError")
    assert [name.rpartition(".")[2] for name in attempts] == ["TimeoutError", "ConnectionError"]
    traceback = page.main.all("pre")[1].text
    assert "in unlucky raise raised.pop(0)" in traceback
    assert "flask_queue/processes" not in traceback
    assert "flask_queue/processes" in page.response.text  # in the full one
    assert page.tree.all("title")[0].children == [f"unlucky #{job_id} · Jobs"]


@pytest.mark.behaviour("P5")
@pytest.mark.parametrize("path", ["{id}", "failed", "ready"])
def test_filtered_arguments_are_hidden_and_a_retry_runs_with_the_real_ones(
    admin: Visitor, queue: FlaskQueue, enqueue: Callable[..., int], work: Callable[[], int], path: str
) -> None:
    seen: list[str] = []

    @queue.job(name="secretive")
    def secretive(account: dict[str, Any], api_token: str) -> None:
        seen.append(account["password"])
        if len(seen) == 1:
            raise ValueError

    job_id = enqueue("secretive", {"password": "hunter2", "name": "ada"}, "swordfish")
    work()
    page = admin.press(admin.get(f"/jobs/{job_id}"), "Retry")
    page = admin.get(f"/jobs/{path.format(id=job_id)}")
    assert "hunter2" not in page.response.text
    assert "swordfish" not in page.response.text
    assert "ada" in page.text or path == "failed"
    work()
    assert seen == ["hunter2", "hunter2"]


@pytest.mark.behaviour("P6")
def test_two_clicks_on_retry_make_one_ready_job(
    site_app: Flask, enqueue: Callable[..., int], work: Callable[[], int], status: Status
) -> None:
    job_id = enqueue("failing")
    work()
    pages = [(visitor := Visitor(site_app, "operator"), visitor.get(f"/jobs/{job_id}")) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda pair: pair[0].press(pair[1], "Retry"), pages))
    assert sorted(len([n for n in page.notices if "will run again" in n]) for page in answers) == [0, 1]
    assert status(job_id) == "ready"
    assert answers[0].tabs["Ready"] == "1"


@pytest.mark.behaviour("P6", "P15")
@pytest.mark.parametrize("verb", ["retry", "discard", "run-now"])
def test_a_click_that_comes_too_late_is_told_so(
    site_app: Flask, admin: Visitor, queue: FlaskQueue, enqueue: Callable[..., int], work: Callable[[], int], verb: str
) -> None:
    job_id = enqueue("failing")
    work()
    with site_app.app_context():
        handle = queue.jobs.get(job_id)
        assert handle is not None
        handle.discard()
    page = admin.post(f"/jobs/{job_id}/{verb}", {"csrf_token": admin.token()})
    assert page.status == 200
    assert page.notices == [f"Job with id '{job_id}' not found"]
    assert page.path == "/jobs/failed"


@pytest.mark.behaviour("P6")
def test_what_a_state_does_not_allow_is_refused_with_the_reason(
    admin: Visitor, enqueue: Callable[..., int], work: Callable[[], int], status: Status
) -> None:
    job_id = enqueue("quiet")
    work()
    for verb in ("retry", "run-now"):
        [notice] = admin.post(f"/jobs/{job_id}/{verb}", {"csrf_token": admin.token()}).notices
        assert "Nothing was changed" in notice
    assert status(job_id) == "finished"


@pytest.mark.behaviour("F21", "P6")
def test_what_a_page_showed_as_scheduled_is_not_run_past_its_limit(
    admin: Visitor, enqueue: Callable[..., int], status: Status
) -> None:
    enqueue("limited", "a")
    blocked = enqueue("limited", "a")
    form = {"csrf_token": admin.token(), "state": "scheduled"}
    [notice] = admin.post(f"/jobs/{blocked}/run-now", form).notices
    assert notice == f"Job {blocked} is due by now, and waits for its key. Nothing was changed."
    assert status(blocked) == "blocked"
    admin.press(admin.get(f"/jobs/{blocked}"), "Run now")
    assert status(blocked) == "ready"


def test_a_running_job_has_no_buttons(admin: Visitor, add: Add, add_process: Add, status: Status) -> None:
    add_process(id=3)
    add({"id": 1, "state": "claimed", "process_id": 3, "claimed_at": NOW})
    page = admin.get("/jobs/1")
    assert page.buttons == []
    assert "worker-3" in page.text
    page = admin.post("/jobs/1/discard", {"csrf_token": admin.token()})
    assert "in progress" in page.notices[0]
    assert status(1) == "claimed"


@pytest.mark.parametrize("name", ["quiet", "failing"])
def test_a_discarded_job_is_gone_and_its_list_is_shown(
    admin: Visitor, enqueue: Callable[..., int], work: Callable[[], int], status: Status, name: str
) -> None:
    job_id = enqueue(name)
    work()
    page = admin.press(admin.get(f"/jobs/{job_id}"), "Discard")
    assert page.path == ("/jobs/finished" if name == "quiet" else "/jobs/failed")
    assert page.notices == [f"Job {job_id} was discarded."]
    assert status(job_id) is None


@pytest.mark.behaviour("P17")
def test_a_blocked_job_shows_its_key_and_can_be_run_now(operator: Visitor, enqueue: Callable[..., int], status: Status) -> None:
    first, second, third = (enqueue("limited", "account-1") for _ in range(3))
    page = operator.get("/jobs/blocked")
    assert page.ids == [second, third]
    assert all("account-1" in row[2] for row in page.rows)
    page = operator.press(page, "Run now")
    assert page.path == "/jobs/blocked"
    assert page.ids == [third]
    assert [status(id) for id in (first, second, third)] == ["ready", "ready", "blocked"]


@pytest.mark.behaviour("P17")
def test_a_blocked_job_without_an_expiry_is_shown(viewer: Visitor, add: Add) -> None:
    add({"id": 1, "state": "blocked", "concurrency_key": "key", "expires_at": None})
    assert viewer.get("/jobs/blocked").rows[0][3] == NOTHING
    assert viewer.get("/jobs/1").status == 200


def test_a_scheduled_job_can_be_run_now(operator: Visitor, enqueue: Callable[..., int], status: Status) -> None:
    job_id = enqueue("quiet", using={"wait": timedelta(hours=1)})
    operator.press(operator.get(f"/jobs/{job_id}"), "Run now")
    assert status(job_id) == "ready"


@pytest.mark.behaviour("P15")
@pytest.mark.parametrize("job_id", [0, 5, 2**31, 2**63 - 1])
def test_an_unknown_id_leads_to_the_list(viewer: Visitor, job_id: int) -> None:
    page = viewer.get(f"/jobs/{job_id}")
    assert page.path == "/jobs/failed"
    assert page.notices == [f"Job with id '{job_id}' not found"]


@pytest.mark.behaviour("P15")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("id_", ["9223372036854775808", "99999999999999999999999", "-1", "1.5", "x", "9" * 6000])
def test_what_can_be_no_id_is_no_address(viewer: Visitor, id_: str) -> None:
    assert viewer.client.get(f"/jobs/{id_}").status_code == 404
    assert viewer.client.get(f"/jobs/processes/{id_}").status_code == 404


@pytest.mark.behaviour("P21")
@pytest.mark.parametrize("arguments", ["", "no json", "[1", '{"$type": "gone"}', "null", '"\\ud800"', "[" * 5000])
def test_what_nobody_can_read_is_shown_as_it_is(viewer: Visitor, add: Add, arguments: str) -> None:
    add({"id": 1, "name": "removed.long.ago", "arguments": arguments})
    assert viewer.get("/jobs/ready").status == 200
    page = viewer.get("/jobs/1")
    assert page.status == 200
    assert "No job of this name is registered any more" in page.notices[0]


@pytest.mark.behaviour("P21")
def test_long_arguments_and_messages_do_not_make_a_long_list(viewer: Visitor, add_failed: Add) -> None:
    add_failed({"id": 1, "arguments": f'{{"args": ["{"x" * 200_000}"], "kwargs": {{}}}}', "error_class": "E" * 250})
    assert len(viewer.get("/jobs/failed").response.data) < 20_000
    page = viewer.get("/jobs/1")
    assert "more characters" in page.text
    assert len(page.response.data) < 80_000
