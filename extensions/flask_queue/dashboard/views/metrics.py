"""Metrics in Prometheus' text format, for those who may see the dashboard and for whoever knows the token.

The registry is made for each answer: the numbers are the database's, not those of this process, and the application's own
metrics are left alone.
"""

from __future__ import annotations

from flask import Response
from flask.typing import ResponseReturnValue

from ...current import current_queue
from ...models import State
from ...operations.queues import QueueOverview
from ..access import has_bearer_token, is_logged_in, require
from ..formatting import COUNT_CAP
from ..queries.counts import Counts, counts
from ..roles import Role

try:
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
except ImportError:  # an extra
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

NOT_INSTALLED = "Metrics need the package prometheus-client: pip install 'flask-queue[metrics]'\n"
NOT_ALLOWED = "Metrics need the header `Authorization: Bearer …` with the value of QUEUE_METRICS_TOKEN, or a login.\n"


def show() -> ResponseReturnValue:
    """The numbers of now."""
    if not has_bearer_token(current_queue().settings.metrics_token):
        if not is_logged_in():
            return _text(NOT_ALLOWED, 401, {"WWW-Authenticate": 'Bearer realm="metrics"'})
        require(Role.VIEWER)
    if not IS_INSTALLED:
        return _text(NOT_INSTALLED, 501)
    return Response(generate_latest(collect()), content_type=CONTENT_TYPE_LATEST)


def _text(sentence: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(sentence, status, headers, mimetype="text/plain")


def collect() -> CollectorRegistry:
    """A registry with the numbers of now."""
    registry = CollectorRegistry()
    queue = current_queue()
    with queue.database.connect() as connection:
        sizes = counts(connection, closely=tuple(State))
    _add_jobs(registry, sizes)
    _add_queues(registry, queue.queues.overview())
    _add_processes(registry)
    problems = Gauge("flask_queue_health_problems", "Reasons why the queue is not healthy.", registry=registry)
    problems.set(len(queue.health()))
    return registry


def _add_jobs(registry: CollectorRegistry, sizes: Counts) -> None:
    gauge = Gauge("flask_queue_jobs", f"Jobs by state, counted up to {COUNT_CAP}.", ["state"], registry=registry)
    for state in State:
        gauge.labels(state.value).set(sizes[state].reachable)


def _add_queues(registry: CollectorRegistry, lines: list[QueueOverview]) -> None:
    ready = Gauge("flask_queue_ready_jobs", "Ready jobs by queue.", ["queue"], registry=registry)
    latency = Gauge("flask_queue_latency_seconds", "Longest wait of a ready job.", ["queue"], registry=registry)
    paused = Gauge("flask_queue_paused", "1 for a paused queue, else 0.", ["queue"], registry=registry)
    for line in lines:
        ready.labels(line.name).set(line.size)
        latency.labels(line.name).set(line.latency)
        paused.labels(line.name).set(line.paused)


def _add_processes(registry: CollectorRegistry) -> None:
    gauge = Gauge("flask_queue_processes", "Registered processes by kind.", ["kind", "alive"], registry=registry)
    for process in current_queue().processes:
        gauge.labels(process.kind, str(not process.stale).lower()).inc()
