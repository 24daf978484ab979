"""The first page: is it healthy, how much is there to do, what failed, what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import request
from flask.typing import ResponseReturnValue

from ...current import current_queue
from ...models import State
from ...operations.queues import QueueOverview, overview, with_latencies
from .. import charts
from ..queries.counts import counts
from ..queries.overview import GROUPED_LIMIT, THROUGHPUT_CAP, errors_by_class, throughput
from ..rendering import render, zone
from .recurring import TaskLine

SHOWN_LINES = 6


@dataclass(frozen=True)
class ShownNote:
    """What another extension has to say, asked just now: (label, value, whether it is fine) for each line."""

    label: str
    url: str | None
    lines: Sequence[tuple[str, str, bool]]


def show() -> ResponseReturnValue:
    """The overview."""
    queue = current_queue()
    name = request.args.get("period", "hour")
    period = charts.PERIODS.get(name, charts.PERIODS["hour"])
    with queue.database.connect() as connection:
        sizes = counts(connection, closely=tuple(State))
        slices = throughput(connection, charts.moments(sizes.now, period))
        errors = errors_by_class(connection, SHOWN_LINES)
        lines = overview(connection, queue.queues.declared())
        busiest = with_latencies(connection, sorted(lines, key=_urgency)[:SHOWN_LINES])
    return render(
        "overview.html",
        sizes,
        chart=charts.draw(slices, zone()),
        chart_cap=THROUGHPUT_CAP,
        period=period,
        periods=charts.PERIODS,
        errors=errors,
        grouped_limit=GROUPED_LIMIT,
        lines=busiest,
        queue_total=len(lines),
        processes=queue.processes,
        tasks=_next_tasks(),
        problems=queue.health(),
        notes=_notes(),
    )


def _urgency(line: QueueOverview) -> tuple[int, bool, str]:
    return -line.size, not line.paused, line.name


def _next_tasks() -> list[TaskLine]:
    """What runs next; before that, what will not run and should."""
    lines = [TaskLine.of(task) for task in current_queue().recurring_tasks]
    far = datetime.max.replace(tzinfo=UTC)
    lines.sort(key=lambda line: (not line.problem, line.next_run_at or far, line.task.key))
    return lines[:SHOWN_LINES]


def _notes() -> list[ShownNote]:
    """The notes of other extensions. A note that fails says so, and takes nothing along."""
    notes = []
    for note in current_queue().overview_notes():
        try:
            lines = list(note.lines())
        except Exception as error:
            lines = [("Error", f"{type(error).__name__}: {error}", False)]
        notes.append(ShownNote(note.label, _where_mounted(note.url), lines))
    return notes


def _where_mounted(url: str | None) -> str | None:
    """A path of the application's, as browsers see it: below the path where the application is mounted."""
    mount = request.script_root
    if not url or not url.startswith("/") or url.startswith(("//", f"{mount}/")) or url == mount:
        return url
    return mount + url
