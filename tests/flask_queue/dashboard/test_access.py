"""The door of the dashboard: who gets in, who may press what, and which requests are refused whoever sends them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_wtf import CSRFProtect

from flask_queue import FlaskQueue
from flask_queue.dashboard.errors import TITLES
from flask_queue.dashboard.roles import ROLES, Role
from flask_queue.dashboard.routes import ACTIONS, OPEN, PAGES

from .conftest import add_login
from .visitor import Visitor

VALUES = {"job_id": 1, "process_id": 1, "name": "mail", "key": "nightly", "slug": "failed"}
PAGE_NAMES = [endpoint for _, endpoint, _ in PAGES]
ACTION_NAMES = [(endpoint, role) for role, actions in ACTIONS.items() for _, endpoint, _ in actions]
SAFE = pytest.mark.databases("sqlite")  # nothing here depends on the database


def address(app: Flask, endpoint: str) -> str:
    """The address of an endpoint, about something that need not exist."""
    with app.test_request_context():
        rule = next(rule for rule in app.url_map.iter_rules() if rule.endpoint == f"flask_queue.{endpoint}")
        return str(app.url_for(rule.endpoint, **{name: VALUES[name] for name in rule.arguments}))


# --- pages --------------------------------------------------------------------------------------------


@SAFE
@pytest.mark.behaviour("P1", "P22")
def test_who_is_not_logged_in_is_sent_to_the_login_page(site_app: Flask) -> None:
    for endpoint in PAGE_NAMES:
        response = site_app.test_client().get(address(site_app, endpoint))
        assert (response.status_code, response.location[:12]) == (302, "/login?next="), endpoint


@SAFE
@pytest.mark.behaviour("P1")
def test_who_is_logged_in_without_a_role_is_told_which_setting_decides(site_app: Flask) -> None:
    visitor = Visitor(site_app, "nobody")
    for endpoint in PAGE_NAMES:
        page = visitor.get(address(site_app, endpoint))
        assert (page.status, "QUEUE_AUTHORIZE" in page.text) == (403, True), endpoint


@SAFE
@pytest.mark.parametrize("role", ROLES)
def test_every_role_sees_every_page(site_app: Flask, role: str) -> None:
    visitor = Visitor(site_app, role)
    for endpoint in PAGE_NAMES:
        assert visitor.get(address(site_app, endpoint)).status == 200, endpoint


@SAFE
def test_no_address_is_left_out_of_the_tables_of_roles(site_app: Flask) -> None:
    ours = {rule.endpoint for rule in site_app.url_map.iter_rules() if rule.endpoint.startswith("flask_queue.")}
    known = {f"flask_queue.{name}" for name in [*PAGE_NAMES, *(name for name, _ in ACTION_NAMES), *(row[1] for row in OPEN)]}
    assert ours == known | {"flask_queue.static"}


@SAFE
@pytest.mark.parametrize("path", ["/jobs", "/jobs/"])
def test_the_address_works_with_and_without_a_slash_at_its_end(admin: Visitor, path: str) -> None:
    page = admin.get(path)
    assert (page.status, page.response.history) == (200, ())


@SAFE
@pytest.mark.behaviour("P22")
def test_refusals_are_the_dashboards_own_where_the_application_has_pages_for_them(site_app: Flask) -> None:
    for code in TITLES:
        site_app.register_error_handler(code, lambda error: ("The page of the application", 418))
    page = Visitor(site_app, "nobody").get("/jobs/")
    assert (page.status, "QUEUE_AUTHORIZE" in page.text) == (403, True)
    admin = Visitor(site_app, "admin")
    assert admin.send("/jobs/theme", {"csrf_token": admin.token(), "theme": "pink"}).status_code == 400
    site_app.login_manager.login_view = None  # type: ignore[attr-defined]
    assert site_app.test_client().get("/jobs/").status_code == 401
    assert admin.get("/elsewhere").status == 418


@SAFE
def test_all_refusals_that_have_a_page_are_registered(site_app: Flask) -> None:
    assert set(site_app.error_handler_spec["flask_queue"]) == {*TITLES, None}


# --- who decides --------------------------------------------------------------------------------------


class Member(UserMixin):
    def __init__(self, id: str) -> None:
        self.id = id
        self.is_admin = id == "boss"


class MemberWithMethod(UserMixin):
    def __init__(self, id: str) -> None:
        self.id = id

    def is_admin(self) -> bool:
        return self.id == "boss"


class MemberOfOldTimes(UserMixin):
    def __init__(self, id: str) -> None:
        self.id = id


@SAFE
@pytest.mark.behaviour("P1")
@pytest.mark.parametrize(
    ("loader", "name", "status"),
    [
        (Member, "boss", 200),
        (Member, "clerk", 403),
        (MemberWithMethod, "boss", 200),
        (MemberWithMethod, "clerk", 403),
        (MemberOfOldTimes, "boss", 403),
    ],
)
def test_by_default_admins_get_in_and_nobody_else(
    make_app: Callable[..., Flask], loader: Callable[[str], Any], name: str, status: int
) -> None:
    app = make_app()
    add_login(app, loader)
    assert Visitor(app, name).get("/jobs/").status == status


def trust_viewers(user: Any) -> str:
    """Named by its place in a test below."""
    return "viewer"


@SAFE
@pytest.mark.behaviour("P22")
def test_the_decision_can_be_named_by_its_place(make_site: Callable[..., Flask]) -> None:
    app = make_site(QUEUE_AUTHORIZE="tests.flask_queue.dashboard.test_access:trust_viewers")
    page = Visitor(app, "nobody").get("/jobs/")
    assert page.status == 200
    assert "You are a viewer" in page.tree.text


@SAFE
@pytest.mark.behaviour("P1", "P22")
@pytest.mark.parametrize("place", ["nope:x", "tests:nobody", "tests.flask_queue.dashboard.test_access:SAFE.name", "tests..x:y"])
def test_a_decision_that_is_not_where_it_should_be_lets_nobody_in_and_says_so(
    make_site: Callable[..., Flask], caplog: pytest.LogCaptureFixture, place: str
) -> None:
    visitor = Visitor(make_site(QUEUE_AUTHORIZE=place), "admin")
    page = visitor.get("/jobs/")
    assert (page.status, "QUEUE_AUTHORIZE leads to no function" in page.text) == (403, True)
    assert f"QUEUE_AUTHORIZE is '{place}', which leads to no function: " in caplog.text
    health = visitor.client.get("/jobs/health")
    assert (health.status_code, "problems" in health.get_json()) == (503, False)


@SAFE
@pytest.mark.parametrize("answer", [True, 1, "root", "Admin", ["admin"], object()])
def test_an_answer_that_is_no_role_lets_nobody_in_and_is_logged(
    make_site: Callable[..., Flask], caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    app = make_site(QUEUE_AUTHORIZE=lambda user: answer)
    with caplog.at_level(logging.ERROR, "flask_queue.dashboard"):
        assert Visitor(app, "admin").get("/jobs/").status == 403
    assert "QUEUE_AUTHORIZE returned" in caplog.text


@SAFE
@pytest.mark.behaviour("P22")
def test_without_a_login_of_the_application_nobody_gets_in(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    response = make_app().test_client().get("/jobs/")
    assert response.status_code == 403
    assert "Flask-Login" in response.text
    assert "Flask-Login" in caplog.text


@SAFE
def test_without_a_login_page_to_go_to_the_answer_says_which_one_to_set(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    LoginManager(app).user_loader(lambda id: None)
    response = app.test_client().get("/jobs/")
    assert response.status_code == 401
    assert "login_view" in response.text


@SAFE
def test_one_request_after_another_asks_for_the_role_anew(site_app: Flask) -> None:
    """Also where a test, or a shell, keeps one application context open."""
    with site_app.app_context():
        client = site_app.test_client()
        client.get("/login?role=admin")
        assert client.get("/jobs/").status_code == 200
        client.get("/login?role=nobody")
        assert client.get("/jobs/").status_code == 403


# --- changes ------------------------------------------------------------------------------------------


@SAFE
@pytest.mark.behaviour("P2")
def test_a_change_cannot_be_asked_for_with_get(admin: Visitor, site_app: Flask) -> None:
    answers = {name: admin.client.get(address(site_app, name)).status_code for name, _ in ACTION_NAMES}
    assert answers == dict.fromkeys(answers, 405)


@SAFE
@pytest.mark.behaviour("P1")
def test_who_is_not_logged_in_changes_nothing(site_app: Flask) -> None:
    for endpoint, _ in ACTION_NAMES:
        response = site_app.test_client().post(address(site_app, endpoint))
        assert (response.status_code, response.location[:12]) == (302, "/login?next="), endpoint


@SAFE
@pytest.mark.behaviour("P1")
@pytest.mark.parametrize("role", ROLES.values())
def test_a_role_may_press_its_buttons_and_no_others(site_app: Flask, role: Role) -> None:
    visitor = Visitor(site_app, role.label)
    fields = {"csrf_token": visitor.token(), "theme": "dark"}
    answers = {name: visitor.send(address(site_app, name), fields).status_code for name, _ in ACTION_NAMES}
    assert answers == {name: 302 if role >= least else 403 for name, least in ACTION_NAMES}


@SAFE
def test_nobody_is_shown_a_button_that_is_not_theirs(
    site_app: Flask, add_failed: Callable[..., None], enqueue: Callable[..., int], queue: FlaskQueue
) -> None:
    add_failed({"id": 1})
    enqueue("quiet", using={"queue": "mail"})
    enqueue("quiet", using={"wait": 600})
    with site_app.app_context():
        queue.schedule_recurring_task("nightly", job="quiet", schedule="every day at 1am")
    paths = ("failed", "ready", "scheduled", "queues", "queues/mail", "recurring", "recurring/nightly", "1")
    for role in ROLES.values():
        visitor = Visitor(site_app, role.label)
        for path in paths:
            page = visitor.get(f"/jobs/{path}")
            for form in page.main.all("form", method="post"):
                fields = {each.attributes["name"]: each.attributes.get("value", "") for each in form.all("input")}
                sent = visitor.send(form.attributes["action"], {**fields, "csrf_token": "none"})
                assert sent.status_code == 400, f"{role.label} at {path}: {form.text}"
        assert bool(visitor.get("/jobs/1").buttons) == (role >= Role.OPERATOR)


@pytest.fixture
def failed_job(enqueue: Callable[..., int], work: Callable[[], int]) -> int:
    job_id = enqueue("failing")
    work()
    return job_id


@pytest.mark.behaviour("P2")
@pytest.mark.parametrize("token", [None, "", "x", "foreign"])
def test_a_form_without_a_token_of_its_session_changes_nothing(
    site_app: Flask, admin: Visitor, failed_job: int, status: Callable[[int], str | None], token: str | None
) -> None:
    if token == "foreign":
        token = Visitor(site_app, "operator").token()
    admin.get("/jobs/")
    fields = {} if token is None else {"csrf_token": token}
    assert admin.send(f"/jobs/{failed_job}/retry", fields).status_code == 400
    assert admin.send("/jobs/failed/discard-all", fields).status_code == 400
    assert status(failed_job) == "failed"


@SAFE
@pytest.mark.behaviour("P2")
@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        (None, True),
        ("http://localhost", True),
        ("https://localhost", True),  # the proxy in front speaks TLS, the application does not know
        ("http://localhost:80", True),
        ("http://evil.example", False),
        ("http://localhost:8080", False),
        ("http://localhost.evil.example", False),
        ("http://localhost@evil.example", False),
        ("http://localhost:x", False),
        ("http://[bad", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_form_of_another_site_is_refused(admin: Visitor, origin: str | None, accepted: bool) -> None:
    headers = {} if origin is None else {"Origin": origin}
    response = admin.send("/jobs/queues/mail/pause", {"csrf_token": admin.token()}, **headers)
    assert response.status_code == (302 if accepted else 403)
    paused = "Paused" in admin.get("/jobs/queues/mail").heading
    assert paused == accepted


@SAFE
def test_forms_pass_where_the_application_checks_every_form_itself(make_site: Callable[..., Flask]) -> None:
    app = make_site(WTF_CSRF_FIELD_NAME="proof")
    CSRFProtect(app)
    admin = Visitor(app, "admin")
    page = admin.press(admin.get("/jobs/queues/mail"), "Pause")
    assert "Paused" in page.heading
    assert admin.send("/jobs/queues/mail/resume", {}).status_code == 400


@SAFE
def test_tokens_are_asked_for_even_where_the_application_has_switched_its_own_off(make_site: Callable[..., Flask]) -> None:
    app = make_site(WTF_CSRF_ENABLED=False)
    admin = Visitor(app, "admin")
    assert admin.send("/jobs/queues/mail/pause", {}).status_code == 400


@SAFE
def test_who_did_what_is_in_the_log(admin: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "flask_queue.dashboard"):
        admin.press(admin.get("/jobs/queues/mail"), "Pause")
    assert "User admin at 127.0.0.1: Queue “mail” is paused." in caplog.text


# --- every answer -------------------------------------------------------------------------------------


@pytest.fixture
def answers(admin: Visitor, site_app: Flask) -> Iterator[Any]:
    """Answers of every kind: a page, a redirect, errors, and those for machines."""
    paths = ("/jobs/", "/jobs/999", "/jobs/health", "/jobs/metrics", "/jobs/static/dashboard.css")
    pages = [admin.client.get(path, buffered=True) for path in paths]
    return iter([*pages, admin.send("/jobs/1/retry", {}), Visitor(site_app).client.get("/jobs/")])


@SAFE
@pytest.mark.behaviour("P4")
def test_every_answer_forbids_inline_scripts_frames_and_other_hosts(answers: Iterator[Any]) -> None:
    for response in answers:
        policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@SAFE
def test_pages_are_kept_by_no_cache_and_the_rest_of_the_site_is_left_alone(admin: Visitor) -> None:
    assert admin.client.get("/jobs/").headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" not in admin.client.get("/login").headers
