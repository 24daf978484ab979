"""`flask queue recurring`: what is enqueued by the clock and when next; and pause, resume or run a task by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from flask.cli import with_appcontext

from ..current import current_queue
from ..errors import QueueError, RecurringTaskNotFound
from ..jobs.schedules import Schedule
from .group import QueueGroup
from .output import echo_json, echo_table, printable
from .parameters import unknown

if TYPE_CHECKING:
    from ..client import RecurringTaskHandle
    from ..config import RecurringTask
    from ..extension import FlaskQueue


@dataclass(frozen=True)
class Line:
    """A task as the table shows it."""

    key: str
    job: str
    schedule: str
    next_run_at: datetime | None
    last_run_at: datetime | None
    paused: bool


@click.group(cls=QueueGroup, invoke_without_command=True, short_help="Show recurring tasks; pause, resume or run one.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_context
@with_appcontext
def recurring(context: click.Context, as_json: bool) -> None:
    """Show the recurring tasks, with their next run in UTC. Its commands pause, resume or run one.

    \b
    Examples:
      flask queue recurring
      flask queue recurring pause weekly_digest
      flask queue recurring run weekly_digest
    """
    if context.invoked_subcommand is not None:
        return
    lines = sorted(_lines(current_queue()), key=lambda line: line.key)
    if as_json:
        echo_json([asdict(line) for line in lines])
    elif not lines:
        click.echo("There are no recurring tasks. They stand in config/recurring.yml.")
    else:
        rows = [(line.key, line.job, line.schedule, _next_run(line), _minute(line.last_run_at)) for line in lines]
        echo_table(("KEY", "JOB", "SCHEDULE", "NEXT RUN (UTC)", "LAST RUN (UTC)"), rows)


@recurring.command()
@click.argument("key")
def pause(key: str) -> None:
    """Let the task KEY enqueue nothing until it is resumed."""
    _task(key).pause()
    click.echo(f"Paused {key}.")


@recurring.command()
@click.argument("key")
def resume(key: str) -> None:
    """Let the task KEY enqueue again, from its next instant on."""
    _task(key).resume()
    click.echo(f"Resumed {key}.")


@recurring.command()
@click.argument("key")
def run(key: str) -> None:
    """Enqueue one job of the task KEY now, beside its planned runs."""
    handle = _task(key).run_now()
    click.echo(f"Enqueued job {handle.id}.")


def _lines(queue: FlaskQueue) -> Iterator[Line]:
    """The configured tasks, whether or not a scheduler has seen them yet, and those that were added at run time."""
    stored = {task.key: task for task in queue.recurring_tasks.all()}
    configuration = queue.configuration()
    for problem in configuration.problems:
        _tell(problem)
    for task in configuration.recurring_tasks:
        yield _configured(queue, task, stored.pop(task.key, None))
    for record in stored.values():
        yield _stored(record)


def _configured(queue: FlaskQueue, task: RecurringTask, record: RecurringTaskHandle | None) -> Line:
    paused = not task.enabled or (record is not None and record.paused)
    schedule = Schedule.parse(task.schedule, task.time_zone or queue.settings.time_zone)
    next_run_at = None if paused else schedule.next_after(datetime.now(UTC))
    return Line(task.key, task.job, task.schedule, next_run_at, record.last_run_at if record else None, paused)


def _stored(record: RecurringTaskHandle) -> Line:
    """The line of a task in the database. One that cannot be understood any more must not hide the others."""
    try:
        next_run_at = record.next_run_at
    except QueueError as error:
        _tell(f"{record.key}: {error}")
        next_run_at = None
    return Line(record.key, record.job_name, record.schedule, next_run_at, record.last_run_at, record.paused)


def _tell(problem: str) -> None:
    click.echo(f"Problem: {printable(problem)}", err=True)


def _task(key: str) -> RecurringTaskHandle:
    queue = current_queue()
    if task := queue.recurring_tasks.get(key):
        return task
    configured = {task.key: task for task in queue.configuration().recurring_tasks}
    if key in configured:
        raise RecurringTaskNotFound(
            f"The recurring task {key!r} is configured, but no scheduler has started with it yet. Start one with "
            f"`flask queue start`, or enqueue its job once with `flask queue enqueue {configured[key].job}`."
        )
    known = {task.key for task in queue.recurring_tasks.all()} | configured.keys()
    raise RecurringTaskNotFound(unknown("recurring task", key, known))


def _next_run(line: Line) -> str:
    return "paused" if line.paused else _minute(line.next_run_at)


def _minute(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
