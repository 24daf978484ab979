"""Queues: all of them, one of them with its ready jobs, and pausing, resuming and clearing."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug import Response

from ...current import current_queue
from ...errors import QueueError
from ...models import State
from ...operations.queues import QueueOverview, overview, with_latencies
from ..addresses import way_back
from ..filters import Filters
from ..formatting import plural
from ..listings import LISTINGS
from ..notices import done, not_found, refused
from ..pagination import Page
from ..queries.counts import Size, counts
from ..queries.lists import listed
from ..queries.queues import find_queue, is_recent_queue
from ..rendering import render

#: Queues on a page, unless the address says otherwise.
SHOWN_QUEUES = "50"


def index() -> ResponseReturnValue:
    """All queues by name."""
    size = request.args.get("size", SHOWN_QUEUES)
    with current_queue().database.connect() as connection:
        lines = overview(connection, current_queue().queues.declared())
        page = Page.clamp(request.args.get("page"), size, len(lines))
        shown = with_latencies(connection, lines[page.offset : page.offset + page.size])
        sizes = counts(connection)
    largest = max((line.size for line in lines), default=0)
    return render("queues.html", sizes, lines=shown, largest=largest, page=page, total=Size(len(lines)))


def show(name: str) -> ResponseReturnValue:
    """One queue and the jobs that wait in it."""
    filters = Filters({"queue": name}, {"queue": name})
    ready = LISTINGS[State.READY]
    with current_queue().database.connect() as connection:
        line = find_queue(connection, name)
        if not _is_known(connection, line):
            return not_found("Queue", name, ".queues")
        [line] = with_latencies(connection, [line])
        total = Size(line.size)
        page = Page.clamp(request.args.get("page"), request.args.get("size"), total.reachable)
        rows = listed(connection, ready, filters, limit=page.size, offset=page.offset)
        sizes = counts(connection)
    return render("queue.html", sizes, line=line, total=total, page=page, rows=rows)


def _is_known(connection: Connection, line: QueueOverview) -> bool:
    declared = current_queue().queues.declared()
    return bool(line.size or line.paused) or line.name in declared or is_recent_queue(connection, line.name)


def pause(name: str) -> ResponseReturnValue:
    """Keep workers away from a queue."""
    return _act(name, "pause", f"Queue “{name}” is paused. What runs already goes on.")


def resume(name: str) -> ResponseReturnValue:
    """Let workers at a queue again."""
    return _act(name, "resume", f"Queue “{name}” is working again.")


def _act(name: str, verb: str, sentence: str) -> Response:
    try:
        getattr(current_queue().queues[name], verb)()
    except QueueError as error:  # no queue can have this name
        refused(str(error))
    else:
        done(sentence)
    return _back_to(name)


def clear(name: str) -> ResponseReturnValue:
    """Delete the ready jobs of a queue."""
    try:
        number = current_queue().queues[name].clear()
    except QueueError as error:
        refused(str(error))
    else:
        done(f"Discarded {plural(number, 'job')} of queue “{name}”")
    return _back_to(name)


def _back_to(name: str) -> Response:
    return redirect(way_back(url_for(".queue", name=name)))
