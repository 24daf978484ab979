"""The page: closed by default, complete, safe; its two buttons put jobs on the queue."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_litestream.dashboard.overview import Listing, listings_of
from flask_queue import FlaskQueue
from flask_queue.testing import drain

from ..harness.waiting import eventually
from .stage import Stage, connected
from .visitors import add_login, role


def as_user(stage: Stage, name: str | None) -> FlaskClient:
    client = stage.app.test_client()
    if name is not None:
        client.get(f"/in/{name}")
    return client


def post(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Press a button of the page: with the token that the page gave."""
    page = client.get("/litestream/").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    return client.post(path, data={"csrf_token": token[1], **fields})


def without_queue(make_stage: Callable[..., Stage], **settings: Any) -> Stage:
    stage = make_stage(**settings)
    add_login(stage.app)
    stage.create()
    return stage


# --- access ---


def test_whoever_is_not_logged_in_goes_to_the_login_page(open_to_roles: Stage) -> None:
    stranger = as_user(open_to_roles, None)
    for response in (stranger.get("/litestream/"), stranger.post("/litestream/primary/verify")):
        assert response.status_code == 302
        assert response.location.startswith("/login")


def test_whoever_has_no_role_gets_403_that_names_the_setting(open_to_roles: Stage) -> None:
    response = as_user(open_to_roles, "nobody").get("/litestream/")
    assert response.status_code == 403
    assert "LITESTREAM_AUTHORIZE" in response.text


def test_by_default_admins_get_in_and_nobody_else(make_stage: Callable[..., Stage]) -> None:
    stage = without_queue(make_stage)
    assert as_user(stage, "boss").get("/litestream/").status_code == 200
    assert as_user(stage, "viewer").get("/litestream/").status_code == 403


def test_with_a_queue_the_rule_of_its_dashboard_holds_here_too(folder: Path) -> None:
    stage = Stage(folder, {"QUEUE_AUTHORIZE": role}, queue=FlaskQueue())
    add_login(stage.app)
    with stage.app.app_context():
        stage.db.create_all()
    assert as_user(stage, "viewer").get("/litestream/").status_code == 200
    assert as_user(stage, "boss").get("/litestream/").status_code == 403


def test_a_rule_may_be_named(make_stage: Callable[..., Stage]) -> None:
    stage = without_queue(make_stage, LITESTREAM_AUTHORIZE=f"{__name__}:role" if "tests" in __name__ else role)
    assert as_user(stage, "viewer").get("/litestream/").status_code == 200


@pytest.mark.parametrize("place", ["nope:x", "tests:nobody"])
def test_a_rule_that_is_not_where_it_should_be_lets_nobody_in(
    make_stage: Callable[..., Stage], caplog: pytest.LogCaptureFixture, place: str
) -> None:
    stage = without_queue(make_stage, LITESTREAM_AUTHORIZE=place)
    assert as_user(stage, "boss").get("/litestream/").status_code == 403
    assert f"'{place}'" in caplog.text


def test_an_answer_that_is_no_role_lets_nobody_in(make_stage: Callable[..., Stage]) -> None:
    stage = without_queue(make_stage, LITESTREAM_AUTHORIZE=lambda user: True)
    assert as_user(stage, "boss").get("/litestream/").status_code == 403


def test_without_flask_login_nobody_gets_in(stage: Stage) -> None:
    response = stage.app.test_client().get("/litestream/")
    assert response.status_code == 403
    assert "Flask-Login" in response.text


def test_an_application_may_leave_the_page_out_or_have_it_elsewhere(make_stage: Callable[..., Stage]) -> None:
    assert "/litestream/" not in [rule.rule for rule in make_stage(LITESTREAM_URL_PREFIX=False).app.url_map.iter_rules()]
    assert "/backups/" in [rule.rule for rule in make_stage(LITESTREAM_URL_PREFIX="/backups").app.url_map.iter_rules()]


@pytest.mark.parametrize(
    ("name", "verify", "restore"), [("viewer", 403, 403), ("operator", 302, 403), ("admin", 302, 302), ("nobody", 403, 403)]
)
def test_each_role_may_what_it_may(open_to_roles: Stage, name: str, verify: int, restore: int) -> None:
    """The forms are pressed with an admin's page, so that only the role is what refuses."""
    client = as_user(open_to_roles, "admin")
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/litestream/").text)
    assert token is not None
    client.get(f"/in/{name}")
    for path, expected in (("primary/verify", verify), ("primary/restore", restore)):
        response = client.post(f"/litestream/{path}", data={"csrf_token": token[1]})
        assert response.status_code == expected, path


def test_a_page_shows_no_button_that_would_be_refused(open_to_roles: Stage) -> None:
    assert "Verify now" not in as_user(open_to_roles, "viewer").get("/litestream/").text
    operators = as_user(open_to_roles, "operator").get("/litestream/").text
    assert "Verify now" in operators
    assert "Restore to a new file" not in operators
    assert "Restore to a new file" in as_user(open_to_roles, "admin").get("/litestream/").text


def test_a_form_without_its_token_changes_nothing(open_to_roles: Stage) -> None:
    client = as_user(open_to_roles, "admin")
    client.get("/litestream/")
    for data in ({}, {"csrf_token": "forged"}):
        response = client.post("/litestream/primary/verify", data=data)
        assert response.status_code == 400
        assert "load the page again" in response.text
    assert open_to_roles.queue is not None
    with open_to_roles.app.app_context():
        assert open_to_roles.queue.jobs.ready.count() == 0


def test_get_changes_nothing(open_to_roles: Stage) -> None:
    assert as_user(open_to_roles, "admin").get("/litestream/primary/verify").status_code == 405


# --- what it shows ---


def test_all_about_a_running_litestream_and_its_databases(open_to_roles: Stage) -> None:
    eventually(lambda: open_to_roles.replica_files("primary", "9") and open_to_roles.replica_files("queue", "9"))
    open_to_roles.verify("primary")
    shutil.rmtree(open_to_roles.replica("queue"))
    open_to_roles.verify("queue")
    page = as_user(open_to_roles, "viewer").get("/litestream/").text
    assert "Litestream is replicating" in page
    assert f"<dd>{open_to_roles.daemon_pid()}</dd>" in page
    for name in ("primary", "queue"):
        assert f'id="database-{name}"' in page
        assert str(open_to_roles.replica(name)) in page
    assert len(re.findall(r"<strong>Proved 20\d\d-", page)) == 1
    assert "<strong>Failed 20" in page
    assert "The replica cannot be restored: no matching backup files available" in page
    assert re.search(r'<strong>Restorable</strong> from <span class="when">20\d\d-', page)
    assert "<strong>Nothing can be restored:</strong>" in page
    assert "On the same disk as the database" in page


def test_before_the_first_verification_it_says_that_nothing_is_proved(open_to_roles: Stage) -> None:
    assert as_user(open_to_roles, "viewer").get("/litestream/").text.count("Not verified yet") == 2


def test_a_litestream_that_does_not_run(make_stage: Callable[..., Stage]) -> None:
    page = as_user(without_queue(make_stage), "boss").get("/litestream/").text
    assert "Litestream does not answer" in page
    assert "flask litestream replicate" in page
    assert page.count("not replicating") == 2
    assert "ask again" in page


def test_one_that_is_switched_off(make_stage: Callable[..., Stage]) -> None:
    page = as_user(without_queue(make_stage, LITESTREAM_ENABLED=False), "boss").get("/litestream/").text
    assert "Litestream is switched off" in page
    assert "does not answer" not in page


def test_one_that_is_not_set_up_says_what_is_missing(make_stage: Callable[..., Stage]) -> None:
    stage = without_queue(make_stage, LITESTREAM_ENABLED=False, LITESTREAM_REPLICA=None)
    page = as_user(stage, "boss").get("/litestream/").text
    assert "Litestream is switched off" in page
    assert "set LITESTREAM_REPLICA" in page
    assert "ask again" not in page


def test_a_folder_that_cannot_be_written_is_told_on_the_page(make_stage: Callable[..., Stage], folder: Path) -> None:
    (folder / "file").touch()
    stage = without_queue(make_stage, LITESTREAM_DIRECTORY=str(folder / "file" / "below"))
    assert "Not a directory" in as_user(stage, "boss").get("/litestream/").text


def test_without_a_queue_it_shows_the_commands_instead_of_buttons(make_stage: Callable[..., Stage]) -> None:
    page = as_user(without_queue(make_stage), "boss").get("/litestream/").text
    assert "flask litestream verify primary" in page
    assert "<form" not in page


def test_no_secret_is_on_the_page(make_stage: Callable[..., Stage]) -> None:
    stage = without_queue(
        make_stage,
        LITESTREAM_REPLICA={"type": "sftp", "host": "127.0.0.1:1", "user": "me", "password": "hush"},
        LITESTREAM_SECRET_ACCESS_KEY="hush",
    )
    page = as_user(stage, "boss").get("/litestream/").text
    assert "sftp://me@127.0.0.1:1/primary" in page
    assert "hush" not in page


def test_names_are_escaped(make_stage: Callable[..., Stage], folder: Path) -> None:
    stage = without_queue(make_stage, LITESTREAM_REPLICA={"type": "s3", "bucket": "<script>alert(1)</script>"})
    page = as_user(stage, "boss").get("/litestream/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_nothing_inline_and_nothing_cached(open_to_roles: Stage) -> None:
    client = as_user(open_to_roles, "admin")
    response = client.get("/litestream/")
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", response.text)
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert response.headers["Cache-Control"] == "no-store"
    for asset in ("litestream.css", "icon.svg"):
        static = client.get(f"/litestream/static/{asset}")
        assert static.status_code == 200
        assert static.headers.get("Cache-Control") != "no-store"
        static.close()


def test_a_replica_is_asked_once_a_minute_or_when_somebody_wants(open_to_roles: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("flask_litestream.dashboard.overview._ask", lambda _, name: asked.append(name) or Listing())
    client = as_user(open_to_roles, "viewer")
    client.get("/litestream/")
    client.get("/litestream/")
    assert sorted(asked) == ["primary", "queue"]
    client.get("/litestream/?fresh=1")
    assert len(asked) == 4
    started = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: started + 61)
    client.get("/litestream/")
    assert len(asked) == 6
    listings_of(open_to_roles.backups).forget()


# --- the buttons ---


def test_verify_now_is_a_job_whose_end_is_on_the_page(open_to_roles: Stage) -> None:
    client = as_user(open_to_roles, "operator")
    response = post(client, "/litestream/primary/verify")
    assert (response.status_code, response.location) == (302, "/litestream/")
    page = client.get("/litestream/").text
    assert "The backup of primary will be verified by job 1." in page
    assert "1 job is under way" in page
    assert '<meta http-equiv="refresh"' in page
    with open_to_roles.app.app_context():
        assert drain() == 1
    page = client.get("/litestream/").text
    assert "<strong>Proved 20" in page
    assert "under way" not in page
    assert '<meta http-equiv="refresh"' not in page


def test_restore_to_a_new_file_is_a_job_that_leaves_the_live_one_alone(open_to_roles: Stage) -> None:
    client = as_user(open_to_roles, "admin")
    open_to_roles.write("primary")
    open_to_roles.wait_until_synced()
    before = open_to_roles.path("primary").stat().st_ino
    assert post(client, "/litestream/primary/restore", timestamp="").status_code == 302
    with open_to_roles.app.app_context():
        assert drain() == 1
    [copy] = open_to_roles.backups.restored_files()
    assert open_to_roles.rows(copy) == [1, 2]
    assert open_to_roles.path("primary").stat().st_ino == before
    page = client.get("/litestream/").text
    assert "Restored copies" in page
    assert copy.name in page


def test_the_moment_of_a_restore_is_what_the_browser_sends(open_to_roles: Stage) -> None:
    client = as_user(open_to_roles, "admin")
    assert post(client, "/litestream/primary/restore", timestamp="2999-12-31T23:59").status_code == 302
    assert open_to_roles.queue is not None
    with open_to_roles.app.app_context():
        [job] = open_to_roles.queue.jobs.ready.all()
        assert "2999-12-31T23:59:00Z" in job.arguments
    wrong = post(client, "/litestream/primary/restore", timestamp="'; rm -rf /")
    assert wrong.status_code == 400
    assert "must be a moment" in wrong.text


def test_where_the_queue_does_not_answer_the_page_is_there_all_the_same(open_to_roles: Stage) -> None:
    with connected(open_to_roles.path("queue")) as connection:
        connection.execute("DROP TABLE queue_jobs")
    client = as_user(open_to_roles, "admin")
    page = client.get("/litestream/")
    assert page.status_code == 200
    assert "The queue does not answer" in page.text
    for verb in ("verify", "restore"):
        answer = post(client, f"/litestream/primary/{verb}")
        assert (answer.status_code, "nothing was enqueued" in answer.text) == (503, True)


def test_a_moment_outside_the_calendar_is_refused(open_to_roles: Stage) -> None:
    answer = post(as_user(open_to_roles, "admin"), "/litestream/primary/restore", timestamp="0001-01-01T00:00+05:00")
    assert (answer.status_code, "must be a moment like" in answer.text) == (400, True)


@pytest.mark.parametrize("name", ["nope", "..%2F..%2Fetc%2Fpasswd", "primary.sqlite3"])
def test_a_name_that_is_none_is_not_found(open_to_roles: Stage, name: str) -> None:
    client = as_user(open_to_roles, "admin")
    assert post(client, f"/litestream/{name}/verify").status_code == 404
    assert post(client, f"/litestream/{name}/restore").status_code == 404


def test_without_a_queue_the_buttons_addresses_say_what_to_do(make_stage: Callable[..., Stage]) -> None:
    client = as_user(without_queue(make_stage), "boss")
    response = client.post("/litestream/primary/verify", data={"csrf_token": client.get("/token").text})
    assert response.status_code == 404
    assert "flask litestream verify" in response.text
