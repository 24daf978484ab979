"""`flask queue enqueue`: put a job into the queue from a shell."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from ..config import split_arguments
from ..current import current_queue
from ..errors import QueueError
from ..jobs.functions import complaint_of_call
from .parameters import length_of_time, moment, unknown


@click.command(short_help="Enqueue a job.")
@click.argument("name")
@click.argument("arguments", required=False, metavar="[ARGUMENTS]")
@click.option("--queue", "queue_name", metavar="QUEUE", help="Instead of the job's own queue.")
@click.option("--priority", type=int, help="Instead of the job's own. Lower numbers run first.")
@click.option("--wait", type=length_of_time, metavar="SECONDS", help='Run it after so long: seconds, or "5 minutes".')
@click.option("--at", type=moment, metavar="MOMENT", help="Run it at a moment; UTC unless it says otherwise.")
@with_appcontext
def enqueue(
    name: str,
    arguments: str | None,
    queue_name: str | None,
    priority: int | None,
    wait: float | None,
    at: datetime | None,
) -> None:
    """Enqueue the job NAME, as it is registered, or by its import path.

    A worker runs only what is registered there, too: the application's factory has to import the job's module.

    ARGUMENTS are JSON: a list of arguments, or one argument. An object has them by name; at the end of a list too.

    \b
    Examples:
      flask queue enqueue app.jobs.cleanup
      flask queue enqueue mailers.welcome 42
      flask queue enqueue reports.build '["weekly", {"user_id": 42}]' --queue low --wait "10 minutes"
      flask queue enqueue reports.build '{"kind": "weekly"}' --at 2030-01-31T09:00+01:00
    """
    if wait is not None and at is not None:
        raise click.UsageError("Choose --wait or --at, not both.")
    queue = current_queue()
    definition = queue.find_definition(name)
    if definition is None:
        raise QueueError(unknown("job", name, queue.definitions))
    args, kwargs = split_arguments(_parsed(arguments))
    if complaint := complaint_of_call(definition.function, args, kwargs):
        raise click.UsageError(complaint)
    # There is no transaction of the application's here that the job could go with, and nobody would commit one.
    job = definition.using(queue=queue_name, priority=priority, wait=wait, at=at, after_commit=False, transactional=False)
    handle = job.enqueue(*args, **kwargs)
    if handle.enqueued:
        click.echo(f"Enqueued job {handle.id}: {definition.name} in queue {handle.queue}.")
    else:
        click.echo(f"Not enqueued: the concurrency rule of {definition.name} discarded it, for another one holds the slot.")


def _parsed(arguments: str | None) -> Any:
    if arguments is None:
        return ()
    try:
        parsed = json.loads(arguments)
        return [None] if parsed is None else parsed  # one argument; null in a file of recurring tasks is none
    except ValueError as error:
        raise click.UsageError(f"ARGUMENTS must be JSON, and {error}. A text needs quotes of its own: '\"text\"'.") from error
