"""`flask queue status`: how many jobs there are, which queues and processes, and whether all is well."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from flask.cli import with_appcontext

from ..current import current_queue
from ..database import upkeep_warnings
from ..models import State, jobs
from .output import echo_json, echo_table, printable, seconds

if TYPE_CHECKING:
    from ..extension import FlaskQueue


@click.command(short_help="Show counts, queues, processes and problems.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@with_appcontext
def status(as_json: bool) -> None:
    """Show jobs by state, queues with size and latency, the processes that are registered, and what is wrong.

    A problem is what keeps jobs from running. A warning is what will make the queue slower: PostgreSQL that cannot vacuum.

    \b
    Examples:
      flask queue status
      flask queue status --json
    """
    queue = current_queue()
    queue.check_tables()
    if as_json:
        _echo_for_machines(queue)
    else:
        _echo_jobs(queue)
        _echo_queues(queue)
        _echo_processes(queue)
        _echo_remarks("Problem", queue.health())
        _echo_remarks("Warning", _warnings(queue))


def _counts(queue: FlaskQueue) -> dict[str, int]:
    return {state.value: queue.jobs.in_state(state).count() for state in State}


def _echo_for_machines(queue: FlaskQueue) -> None:
    echo_json(
        {
            "jobs": _counts(queue),
            "queues": [asdict(one) for one in queue.queues.overview()],
            "processes": [asdict(process) for process in queue.processes],
            "problems": queue.health(),
            "warnings": _warnings(queue),
        }
    )


def _echo_jobs(queue: FlaskQueue) -> None:
    counts = _counts(queue)
    echo_table(("JOBS", ""), counts.items())
    click.echo()


def _echo_queues(queue: FlaskQueue) -> None:
    rows = [(one.name, one.size, seconds(one.latency), "paused" if one.paused else "") for one in queue.queues.overview()]
    echo_table(("QUEUE", "READY", "LATENCY", ""), rows)
    click.echo()


def _echo_processes(queue: FlaskQueue) -> None:
    processes = queue.processes
    if not processes:
        click.echo("No process is registered. Start them with `flask queue start`.")
        return
    echo_table(
        ("PROCESS", "PID", "HOST", "HEARTBEAT", "DETAILS"),
        [
            (
                process.kind,
                process.pid,
                process.hostname,
                "dead" if process.stale else f"{seconds(process.silent_for)} ago",
                ", ".join(f"{name}: {value}" for name, value in process.metadata.items()),
            )
            for process in processes
        ],
    )


def _warnings(queue: FlaskQueue) -> list[str]:
    with queue.database.connect() as connection:
        return upkeep_warnings(connection, jobs)


def _echo_remarks(label: str, remarks: list[str]) -> None:
    if remarks:
        click.echo()
    for remark in remarks:
        click.echo(f"{label}: {printable(remark)}")
