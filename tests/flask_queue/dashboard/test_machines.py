"""Health and metrics, for machines without a login."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from flask_queue import FlaskQueue
from flask_queue.dashboard.views import metrics

from .conftest import NOW
from .visitor import Visitor

Add = Callable[..., None]


# --- health -------------------------------------------------------------------------------------------


@pytest.fixture
def healthy(add_process: Add) -> None:
    for id, kind in enumerate(("Supervisor", "Worker", "Dispatcher", "Scheduler"), 1):
        add_process(id=id, kind=kind)


def test_health_answers_anyone_and_keeps_the_reasons_to_itself(site_app: Flask) -> None:
    response = site_app.test_client().get("/jobs/health")
    assert (response.status_code, response.json) == (503, {"status": "unhealthy"})


def test_a_healthy_queue_answers_200(site_app: Flask, healthy: None, admin: Visitor) -> None:
    response = site_app.test_client().get("/jobs/health")
    assert (response.status_code, response.json) == (200, {"status": "healthy"})
    assert admin.client.get("/jobs/health").json == {"status": "healthy", "problems": []}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("role", "headers", "query", "told"),
    [
        ("viewer", {}, "", True),
        ("nobody", {}, "", False),
        (None, {"Authorization": "Bearer sesame"}, "", True),
        (None, {"Authorization": "bearer  sesame "}, "", True),
        (None, {}, "?token=sesame", True),
        (None, {"Authorization": "Bearer Sesame"}, "", False),
        (None, {"Authorization": "Basic sesame"}, "?token=sesame", True),
        (None, {"Authorization": "Bearer sésame"}, "", False),
        (None, {"Authorization": "Bearer"}, "", False),
        (None, {}, "?token=", False),
    ],
)
def test_the_reasons_are_told_to_who_may_know(
    make_site: Callable[..., Flask], role: str | None, headers: dict[str, str], query: str, told: bool
) -> None:
    visitor = Visitor(make_site(QUEUE_HEALTH_TOKEN="sesame"), role)
    response = visitor.client.get(f"/jobs/health{query}", headers=headers)
    assert response.status_code == 503
    assert ("problems" in response.get_json()) == told


@pytest.mark.databases("sqlite")
def test_health_is_told_where_the_application_cannot_say_who_asks(
    make_site: Callable[..., Flask], healthy: None, caplog: pytest.LogCaptureFixture
) -> None:
    def authorize(user: object) -> str:
        raise LookupError("no such group")

    visitor = Visitor(make_site(QUEUE_AUTHORIZE=authorize), "admin")
    response = visitor.client.get("/jobs/health")
    assert (response.status_code, response.json) == (200, {"status": "healthy"})
    assert "no such group" in caplog.text


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("token", ["", None])
def test_without_a_token_in_the_settings_none_is_right(make_site: Callable[..., Flask], token: str | None) -> None:
    client = make_site(QUEUE_HEALTH_TOKEN=token).test_client()
    for header in ("Bearer ", "Bearer None"):
        assert "problems" not in client.get("/jobs/health?token=", headers={"Authorization": header}).get_json()


# --- metrics ------------------------------------------------------------------------------------------


@pytest.mark.databases("sqlite")
def test_metrics_are_for_who_may_see_the_dashboard_or_has_the_token(make_site: Callable[..., Flask]) -> None:
    app = make_site(QUEUE_METRICS_TOKEN="sesame")
    stranger = app.test_client().get("/jobs/metrics")
    assert (stranger.status_code, stranger.headers["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert "QUEUE_METRICS_TOKEN" in stranger.text
    assert Visitor(app, "nobody").client.get("/jobs/metrics").status_code == 403
    assert Visitor(app, "viewer").client.get("/jobs/metrics").status_code == 200
    assert app.test_client().get("/jobs/metrics", headers={"Authorization": "Bearer sesame"}).status_code == 200


def samples(visitor: Visitor) -> dict[tuple[str, ...], float]:
    text = visitor.client.get("/jobs/metrics").text
    families: Any = text_string_to_metric_families(text)
    return {
        (sample.name, *(text for _, text in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_have_the_numbers_of_now(
    viewer: Visitor, add: Add, add_failed: Add, add_process: Add, site_app: Flask, queue: FlaskQueue
) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    add_failed({"id": 1})
    add(
        {"id": 2, "queue_name": "mail", "scheduled_at": hour_ago},
        {"id": 3, "queue_name": "mail"},
        {"id": 4, "state": "claimed", "process_id": 9, "claimed_at": NOW},
    )
    add_process(id=9)
    add_process(id=10, silent_for=100)
    with site_app.app_context():
        queue.queues["low"].pause()
    values = samples(viewer)
    assert values["flask_queue_jobs", "failed"] == 1
    assert values["flask_queue_jobs", "claimed"] == 1
    assert values["flask_queue_jobs", "blocked"] == 0
    assert values["flask_queue_ready_jobs", "mail"] == 2
    assert values["flask_queue_ready_jobs", "low"] == 0
    assert 3600 <= values["flask_queue_latency_seconds", "mail"] < 3700
    assert (values["flask_queue_paused", "low"], values["flask_queue_paused", "mail"]) == (1, 0)
    assert values["flask_queue_processes", "true", "Worker"] == 1
    assert values["flask_queue_processes", "false", "Worker"] == 1
    assert values["flask_queue_health_problems",] >= 1


@pytest.mark.databases("sqlite")
def test_metrics_of_more_queues_than_fit_into_a_statement(viewer: Visitor, add: Add) -> None:
    add(*({"id": id, "queue_name": f"queue {id}"} for id in range(1, 251)))
    names = {key[1] for key in samples(viewer) if key[0] == "flask_queue_ready_jobs"}
    assert len(names) == 250 + len({"default", "mail", "low"})


@pytest.mark.databases("sqlite")
def test_without_the_library_the_answer_says_what_to_install(viewer: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "IS_INSTALLED", False)
    response = viewer.client.get("/jobs/metrics")
    assert response.status_code == 501
    assert "pip install 'flask-queue[metrics]'" in response.text
