"""Processes: who is registered, who has gone quiet, and what each worker is running."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from ...current import current_queue
from ..notices import not_found
from ..queries.counts import counts
from ..queries.lists import running_on, running_sizes
from ..rendering import render

SHOWN_JOBS = 100


def index() -> ResponseReturnValue:
    """All processes, each supervisor followed by what it started."""
    queue = current_queue()
    with queue.database.connect() as connection:
        running = running_sizes(connection)
        sizes = counts(connection)
    processes = queue.processes
    ids = {process.id for process in processes}
    families = [
        (head, [process for process in processes if process.supervisor_id == head.id])
        for head in processes
        if head.supervisor_id not in ids
    ]
    return render("processes.html", sizes, families=families, total=len(processes), running=running)


def show(process_id: int) -> ResponseReturnValue:
    """One process and the jobs that it has claimed."""
    queue = current_queue()
    processes = {process.id: process for process in queue.processes}
    process = processes.get(process_id)
    if process is None:
        return not_found("Process", process_id, ".processes")
    with queue.database.connect() as connection:
        rows = running_on(connection, process_id, SHOWN_JOBS)
        sizes = counts(connection)
    supervisor = processes.get(process.supervisor_id or 0)
    children = [other for other in processes.values() if other.supervisor_id == process_id]
    return render("process.html", sizes, process=process, supervisor=supervisor, children=children, rows=rows)
