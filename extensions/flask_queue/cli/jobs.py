"""`flask queue list` and `show`: look at jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from ..current import current_queue
from .output import echo_fields, echo_json, echo_table, printable_lines
from .parameters import COUNT, STATES, filtered, filters, find_job

if TYPE_CHECKING:
    from ..client import JobHandle
    from ..extension import FlaskQueue


@click.command("list", short_help="List jobs.")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@filters
@click.option("--limit", type=COUNT, default=20, show_default=True, metavar="N", help="At most N.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@with_appcontext
def list_jobs(state: str | None, queue_name: str | None, name: str | None, limit: int, as_json: bool) -> None:
    """List jobs: ready ones in the order they will run, scheduled ones by when they are due, finished ones latest first.

    \b
    Examples:
      flask queue list --state failed
      flask queue list --state ready --queue mailers --limit 100
      flask queue list --state failed --name mailers.welcome --json
    """
    queue = current_queue()
    handles = filtered(queue, state, queue_name, name).limit(limit).all()
    if as_json:
        echo_json([_record(queue, handle) for handle in handles])
    elif not handles:
        click.echo("No jobs.")
    else:
        echo_table(
            ("ID", "STATE", "QUEUE", "PRIORITY", "JOB", "DUE", "ARGUMENTS"),
            [
                (
                    job.id,
                    job.state,
                    job.queue,
                    job.priority,
                    job.name,
                    job.scheduled_at,
                    queue.describe_arguments(job.arguments, job.name),
                )
                for job in handles
            ],
        )


@click.command(short_help="Show one job, and how it failed.")
@click.argument("job_id", type=int, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@with_appcontext
def show(job_id: int, as_json: bool) -> None:
    """Show one job: its state, queue, priority and arguments, and how it failed.

    \b
    Example:
      flask queue show 42
    """
    queue = current_queue()
    job = find_job(queue, job_id)
    if as_json:
        echo_json({**_record(queue, job), "errors": [_error(attempt) for attempt in job.errors]})
        return
    echo_fields((name.replace("_", " "), value) for name, value in _record(queue, job).items())
    if error := job.error:
        click.echo()
        echo_fields(
            [("error", error.error_class), ("message", error.message), ("at", error.failed_at), ("in", error.process_name)]
        )
        click.echo(printable_lines(error.traceback))


def _record(queue: FlaskQueue, job: JobHandle) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "name": job.name,
        "queue": job.queue,
        "priority": job.priority,
        "arguments": queue.describe_arguments(job.arguments, job.name),
        "created_at": job.created_at,
        "scheduled_at": job.scheduled_at,
        "claimed_at": job.claimed_at,
        "finished_at": job.finished_at,
        "attempts": job.attempt_count,
        "process_id": job.process_id,
        "concurrency_key": job.concurrency_key,
        "expires_at": job.expires_at,
    }


def _error(attempt: Any) -> dict[str, Any]:
    names = ("number", "error_class", "message", "traceback", "started_at", "failed_at", "process_name")
    return {name: getattr(attempt, name) for name in names}
