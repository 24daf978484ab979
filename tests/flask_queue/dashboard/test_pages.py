"""What holds for all pages: text that means harm, mount points, ways back, databases that are away, big tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import StrictUndefined
from sqlalchemy import event, insert, literal, literal_column, select, text

from flask_queue import FlaskQueue
from flask_queue.models import attempts, jobs, metadata, recurring_tasks

from .conftest import DEFAULTS, NOW, write
from .visitor import Element, Page, Visitor

Add = Callable[..., None]
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 - 7 }}"
PATHS = (
    "", "failed", "in-progress", "ready", "scheduled", "blocked", "finished", "queues", "processes", "recurring",
    "1", "2", "3", "4", "5", "6", "processes/1",
)  # fmt: skip


@pytest.fixture
def full_of_harm(site_app: Flask, queue: FlaskQueue, add_process: Add) -> None:
    """A job in every state, and everything else, with text that wants to be markup."""
    common = {"queue_name": EVIL, "name": EVIL, "arguments": f'{{"args": ["{EVIL[:20]}"]}}', "concurrency_key": EVIL}
    states = ("failed", "claimed", "ready", "scheduled", "blocked", "finished")
    moments = {"claimed_at": NOW, "finished_at": NOW, "process_id": 1}
    rows = [{**DEFAULTS, **common, **moments, "id": id, "state": state} for id, state in enumerate(states, 1)]
    attempt = {"job_id": 1, "number": 1, "failed_at": NOW, "error_class": EVIL, "message": EVIL, "traceback": EVIL}
    task = {"key": EVIL, "job_name": EVIL, "arguments": EVIL, "schedule": EVIL, "time_zone": "UTC", "description": EVIL}
    dates = {"effective_at": NOW, "created_at": NOW}
    with site_app.app_context():
        write(queue, jobs, rows)
        write(queue, attempts, [attempt, {**attempt, "process_name": EVIL}])
        write(queue, recurring_tasks, [{**task, **dates, "static": False}])
        queue.queues[EVIL].pause()
        queue.overview_note(EVIL, lambda: [(EVIL, EVIL, False)])
        queue.health_check("evil", lambda: [EVIL])
    add_process(id=1, name=EVIL, hostname=EVIL, metadata={"queues": EVIL, EVIL: [EVIL]})


def unsafe(tree: Element) -> list[str]:
    """Markup that the policy forbids, or that none of our templates writes."""
    found = [f"<{each.name}>" for each in tree.walk() if each.name in ("img", "style", "iframe", "object")]
    found += [f"<script {each.attributes}>" for each in tree.all("script") if not each.attributes.get("src") or each.children]
    found += [
        f"{name}={value!r}"
        for each in tree.walk()
        for name, value in each.attributes.items()
        if name.startswith("on") or name == "style" or value.strip().lower().startswith("javascript:")
    ]
    return found


@pytest.mark.behaviour("P4")
def test_hostile_text_is_text_everywhere(full_of_harm: None, admin: Visitor) -> None:
    lists = [admin.get(f"/jobs/{path}").main for path in ("queues", "recurring")]
    links = [link.attributes["href"] for page in lists for link in page.all("a") if link.text == EVIL]
    assert len(links) == 2
    for path in [*(f"/jobs/{path}" for path in PATHS), *links]:
        page = admin.get(path)
        assert page.status == 200, path
        assert unsafe(page.tree) == [], path
        assert EVIL[:20] in page.text, path


@pytest.mark.behaviour("P4")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ["name", "queue", "search", "error_class", "finished_after", "page", "size", "next"])
def test_hostile_text_in_an_address_is_text(admin: Visitor, add_failed: Add, name: str) -> None:
    add_failed({"id": 1})
    for slug in ("failed", "finished"):
        page = admin.get(f"/jobs/{slug}", query_string={name: EVIL})
        assert page.status == 200
        assert unsafe(page.tree) == []
    assert unsafe(admin.get(f"/jobs/queues/{EVIL.replace('/', '%2F')}").tree) == []


@pytest.mark.databases("sqlite")
def test_no_template_leans_on_undefined_values_or_on_the_application(
    make_site: Callable[..., Flask], queue: FlaskQueue
) -> None:
    app = make_site()
    app.jinja_env.undefined = StrictUndefined

    @app.context_processor
    def broken() -> dict[str, Any]:
        raise RuntimeError("the application's templates are not ours")

    admin = Visitor(app, "admin")
    assert {path: admin.get(f"/jobs/{path}").status for path in PATHS} == dict.fromkeys(PATHS, 200)


# --- places -------------------------------------------------------------------------------------------


def addresses(page: Page) -> list[str]:
    return [
        each.attributes[name]
        for each in page.tree.walk()
        for name in ("href", "src", "action")
        if name in each.attributes and not each.attributes[name].startswith("#")
    ]


@pytest.mark.behaviour("P3")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("prefix", "mount"), [("/jobs", ""), ("/admin/queue & co", ""), ("/jobs", "/site")])
def test_all_links_stay_where_the_dashboard_is_mounted(
    make_site: Callable[..., Flask], queue: FlaskQueue, prefix: str, mount: str
) -> None:
    app = make_site(QUEUE_URL_PREFIX=prefix)
    with app.app_context():
        for index in range(30):
            queue.definitions["failing"].using(queue=f"{index % 3}/%").enqueue(index)
        queue.work()
    admin = Visitor(app, "admin", SCRIPT_NAME=mount)
    home = prefix + "/"
    quoted = mount + home.replace(" ", "%20")
    for path in ("", "failed?size=3&page=2", "queues", "3"):
        page = admin.get(home + path)
        assert page.status == 200
        outside = [each for each in addresses(page) if not each.startswith(quoted)]
        assert set(outside) <= {mount + "/"}  # back to the site
    page = admin.press(admin.get(home + "3"), "Retry")
    assert (page.status, page.notices) == (200, ["Job 3 will run again."])


@pytest.mark.behaviour("P3")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "https://evil.example/jobs/", "/jobs/../logout", "/jobs/\\..\\..",
     "javascript:alert(1)", "/elsewhere", "/jobsite", "\t//evil.example", "/jobs/\n//evil", "http:/jobs/",
     "///evil.example/jobs/", "//[", ""],
)  # fmt: skip
def test_no_form_leads_off_the_dashboard(operator: Visitor, target: str) -> None:
    response = operator.send("/jobs/queues/mail/pause", {"csrf_token": operator.token(), "next": target})
    assert response.location == "/jobs/queues/mail"


@pytest.mark.behaviour("P3")
@pytest.mark.databases("sqlite")
def test_a_form_leads_back_to_the_page_it_was_on(operator: Visitor, add_failed: Add) -> None:
    add_failed(*({"id": id, "queue_name": "a/b %&"} for id in range(1, 8)))
    page = operator.get("/jobs/failed", query_string={"queue": "a/b %&", "page": "2", "size": "3"})
    page = operator.press(page, "Discard job")
    assert page.response.request.args.to_dict() == {"queue": "a/b %&", "page": "2", "size": "3"}
    assert page.ids == [3, 2, 1]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "query",
    ["?endpoint=x", "?_external=1&_scheme=ftp&_anchor=a", "?job_id=7", "?name=a&name=b", "?%00=%00", "?search=%00&queue=%00"],
)
def test_an_odd_query_is_harmless(viewer: Visitor, add: Add, query: str) -> None:
    add({"id": 1})
    for path in ("", "ready", "1", "queues/default"):
        assert viewer.get(f"/jobs/{path}{query}").status == 200


@pytest.mark.behaviour("P15")
def test_text_that_no_database_can_hold_is_found_nowhere_and_breaks_nothing(admin: Visitor, add_failed: Add) -> None:
    add_failed({"id": 1})
    for name in ("search", "queue", "name", "error_class"):
        assert admin.get("/jobs/failed", query_string={name: "\0"}).ids == [1]
        assert admin.get("/jobs/failed", query_string={name: "\0none"}).ids == []
    for path in ("queues/~AA", "queues/%00", "queues/a%00", "recurring/~AA", "recurring/%00"):
        assert admin.get(f"/jobs/{path}").status == 404


# --- colours ------------------------------------------------------------------------------------------


@pytest.mark.behaviour("P23")
@pytest.mark.databases("sqlite")
def test_the_colours_somebody_chose_are_remembered_without_a_script(viewer: Visitor) -> None:
    page = viewer.get("/jobs/failed")
    theme = page.tree.all("html")[0].attributes["data-theme"]
    page = viewer.post("/jobs/theme", {"csrf_token": viewer.token(), "theme": "dark", "next": "/jobs/failed"})
    assert (theme, page.path, page.tree.all("html")[0].attributes["data-theme"]) == ("auto", "/jobs/failed", "dark")
    assert viewer.send("/jobs/theme", {"csrf_token": viewer.token(), "theme": "pink"}).status_code == 400
    viewer.client.set_cookie("flask_queue_theme", '"><script>', path="/jobs")
    assert viewer.get("/jobs/").tree.all("html")[0].attributes["data-theme"] == "auto"


@pytest.mark.behaviour("P23")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("prefix", "mount", "path"),
    [("/jobs", "", "/jobs"), ("/jobs", "/site", "/site/jobs"), ("/a/b", "", "/a/b")],
)
def test_the_colours_are_those_of_the_address_without_a_slash_too(
    make_site: Callable[..., Flask], prefix: str, mount: str, path: str
) -> None:
    viewer = Visitor(make_site(QUEUE_URL_PREFIX=prefix), "viewer", SCRIPT_NAME=mount)
    [field] = viewer.get(f"{prefix}/").tree.all("form", data_themes="")[0].all("input", name="csrf_token")
    sent = viewer.send(f"{prefix}/theme", {"csrf_token": field.attributes["value"], "theme": "dark"})
    assert f"Path={path};" in sent.headers["Set-Cookie"].replace(", ", "; ") + ";"


# --- when the database is away ------------------------------------------------------------------------


@pytest.mark.behaviour("P21")
def test_missing_tables_are_a_page_that_says_what_to_do(site_app: Flask, admin: Visitor, queue: FlaskQueue) -> None:
    with site_app.app_context(), queue.database.begin() as connection:
        metadata.drop_all(connection)
    site_app.config.update(PROPAGATE_EXCEPTIONS=False)
    for path in PATHS:
        page = admin.get(f"/jobs/{path}")
        assert page.status == 503
        assert "flask db upgrade" in page.text


@pytest.mark.behaviour("P21")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "address",
    ["sqlite:////no/such/folder/queue.sqlite3", "postgresql+psycopg://127.0.0.1:1/queue", "mysql+pymysql://127.0.0.1:1/queue"],
)
def test_a_database_that_is_away_is_a_page_that_says_so(make_site: Callable[..., Flask], address: str) -> None:
    app = make_site(SQLALCHEMY_BINDS={"queue": address})
    admin = Visitor(app, "admin")
    for path in ("", "failed", "1"):
        page = admin.get(f"/jobs/{path}")
        assert (page.status, page.response.headers["Content-Security-Policy"] != "") == (503, True)
        assert "does not answer" in page.text
    response = app.test_client().get("/jobs/health")
    assert (response.status_code, response.get_json()) == (503, {"status": "unhealthy"})


@pytest.mark.behaviour("P21")
@pytest.mark.databases("sqlite")
def test_a_wrong_statement_is_not_called_an_outage(site_app: Flask, admin: Visitor, queue: FlaskQueue) -> None:
    with site_app.app_context(), queue.database.begin() as connection:
        connection.execute(text("ALTER TABLE queue_processes RENAME COLUMN pid TO another"))
    site_app.config.update(PROPAGATE_EXCEPTIONS=False)
    assert admin.client.get("/jobs/processes").status_code in (500, 503)


# --- big tables ---------------------------------------------------------------------------------------


@pytest.fixture
def count_statements(site_app: Flask, queue: FlaskQueue) -> Callable[[FlaskClient, str], int]:
    with site_app.app_context():
        engine = queue.database.engine
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))

    def count(client: FlaskClient, path: str) -> int:
        statements.clear()
        assert client.get(path).status_code == 200
        return len(statements)

    return count


@pytest.mark.behaviour("P20")
def test_a_page_takes_as_many_statements_for_many_rows_as_for_few(
    viewer: Visitor, add: Add, add_failed: Add, add_process: Add, count_statements: Callable[[FlaskClient, str], int]
) -> None:
    paths = [f"/jobs/{path}" for path in (*PATHS[:10], "failed?name=quiet", "finished?search=x", "queues/default", "7")]

    def fill(first: int, size: int) -> None:
        add_failed(*({"id": first + n, "error_class": f"E{n % 9}"} for n in range(size)))
        add(*(
            {"id": first + 1000 * k + n, "state": state, "queue_name": f"queue {n % 40}", "process_id": n, "finished_at": NOW}
            for k, state in enumerate(("claimed", "ready", "scheduled", "blocked", "finished"), 1)
            for n in range(size)
        ))  # fmt: skip
        for n in range(size // 10):
            add_process(id=first + n)

    fill(1, 10)
    add({"id": 100_000, "queue_name": "default"})
    few = {path: count_statements(viewer.client, path) for path in paths}
    fill(10_001, 60)
    many = {path: count_statements(viewer.client, path) for path in paths}
    assert {path: size - few[path] for path, size in many.items() if size > few[path]} == {}
    assert max(few.values()) <= 20


@pytest.fixture
def half_a_million(site_app: Flask, queue: FlaskQueue) -> None:
    """500,010 finished jobs, the last one a second ago."""
    digits = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
    statement = text(
        f"WITH d AS ({digits}) SELECT a.n+10*b.n+100*c.n+1000*e.n+10000*f.n+100000*g.n AS n FROM d a, d b, d c, d e, d f, d g"
    )
    number = statement.columns(literal_column("n")).subquery("numbers")
    row = {**DEFAULTS, "state": "finished", "claimed_at": NOW, "finished_at": datetime.now(UTC) - timedelta(seconds=1)}
    columns = [name for name, value in row.items() if value is not None]
    chosen = (
        select(*(literal(row[name], jobs.c[name].type) for name in columns)).select_from(number).where(number.c.n < 500_010)
    )
    with site_app.app_context(), queue.database.begin() as connection:
        connection.execute(insert(jobs).from_select(columns, chosen))


@pytest.mark.behaviour("P20")
@pytest.mark.databases("sqlite")
def test_half_a_million_rows_are_500_000_and_more_and_quickly_said(
    site_app: Flask, queue: FlaskQueue, viewer: Visitor, half_a_million: None
) -> None:
    """A second, on a machine that does nothing else: counted in thousands of SQLite's own steps, as no clock is steady."""
    steps: list[int] = []
    with site_app.app_context():
        queue.database.dispose()
        engine = queue.database.engine
    event.listen(engine, "connect", lambda one, record: one.set_progress_handler(lambda: steps.append(1), 1000))
    for path in ("", "finished", "finished?page=999999", "finished?name=nothing"):
        del steps[:]
        page = viewer.get(f"/jobs/{path}")
        assert "500,000+" in page.tree.text
        assert 100 < len(steps) < 15_000, path
    assert re.search(r"20,000 / 20,000", viewer.get("/jobs/finished?page=999999").text)
    assert viewer.get("/jobs/failed").tabs["Finished"] == "10,000+"
