"""`flask queue retry`, `discard` and `clear-finished`: act on jobs, one by one or all at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from flask.cli import with_appcontext

from ..current import current_queue
from ..errors import QueueError
from ..models import State
from .output import counted, is_terminal, printable
from .parameters import STATES, check_job_name, filtered, filters, find_job, length_of_time
from .progress import watched

if TYPE_CHECKING:
    from ..client import JobHandle
    from ..extension import FlaskQueue


@click.command(short_help="Run failed jobs again.")
@click.argument("job_ids", type=int, nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All failed jobs, or those of a queue or name.")
@filters
@with_appcontext
def retry(job_ids: tuple[int, ...], everything: bool, queue_name: str | None, name: str | None) -> None:
    """Run failed jobs again, counting their attempts anew.

    \b
    Examples:
      flask queue retry 42 43
      flask queue retry --all --queue mailers
    """
    _check_choice(job_ids, everything, queue_name, name)
    queue = current_queue()
    if everything:
        relation = filtered(queue, State.FAILED, queue_name, name)
        moved = watched("Retrying", relation.count, relation.retry_all)
        click.echo(f"Retried {counted(moved, 'job')}.")
    else:
        _each(queue, job_ids, lambda job: job.retry(), "Job {} will run again.")


@click.command(short_help="Delete jobs that do not run.")
@click.argument("job_ids", type=int, nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All jobs of a state, or those of them of a queue or name.")
@click.option(
    "--state",
    type=click.Choice([state for state in STATES if state != State.CLAIMED]),
    default=State.FAILED.value,
    show_default=True,
    help="Which jobs --all means.",
)
@filters
@click.option("--yes", is_flag=True, help="Do not ask. (Only on a terminal is there a question.)")
@with_appcontext
def discard(
    job_ids: tuple[int, ...], everything: bool, state: str, queue_name: str | None, name: str | None, yes: bool
) -> None:
    """Delete jobs that do not run.

    \b
    Examples:
      flask queue discard 42 43
      flask queue discard --all --name mailers.welcome
      flask queue discard --all --state scheduled --queue mailers --yes
    """
    _check_choice(job_ids, everything, queue_name, name)
    given = click.get_current_context().get_parameter_source("state") is ParameterSource.COMMANDLINE
    if given and not everything:
        raise click.UsageError("--state chooses among --all.")
    queue = current_queue()
    if everything:
        relation = filtered(queue, state, queue_name, name)
        if is_terminal() and not yes:
            click.confirm(f"Delete {counted(relation.count(), f'{state} job')} for good?", abort=True)
        moved = watched("Discarding", relation.count, relation.discard_all)
        click.echo(f"Discarded {counted(moved, 'job')}.")
    else:
        _each(queue, job_ids, lambda job: job.discard(), "Job {} is gone.")


@click.command("clear-finished", short_help="Delete jobs that finished long enough ago.")
@click.option(
    "--older-than",
    type=length_of_time,
    metavar="SECONDS",
    help='Seconds, or "2 days" [default: QUEUE_CLEAR_FINISHED_JOBS_AFTER].',
)
@click.option("--name", metavar="JOB", help="Only jobs of this name.")
@with_appcontext
def clear_finished(older_than: float | None, name: str | None) -> None:
    """Delete jobs that finished long enough ago. Jobs in other states stay, however old.

    \b
    Examples:
      flask queue clear-finished
      flask queue clear-finished --older-than "2 days" --name mailers.welcome
    """
    queue = current_queue()
    check_job_name(queue, name)
    seconds = queue.settings.clear_finished_jobs_after if older_than is None else older_than
    old = queue.jobs.finished.where(name=name, finished_before=datetime.now(UTC) - timedelta(seconds=seconds))
    cleared = watched("Clearing", old.count, lambda: queue.clear_finished(older_than=seconds, name=name))
    click.echo(f"Cleared {counted(cleared, 'finished job')}.")


def _check_choice(job_ids: tuple[int, ...], everything: bool, queue_name: str | None, name: str | None) -> None:
    if everything == bool(job_ids):
        raise click.UsageError("Give the ids of jobs, or --all.")
    if not everything and (queue_name or name):
        raise click.UsageError("--queue and --name choose among --all.")


def _each(queue: FlaskQueue, job_ids: tuple[int, ...], act: Callable[[JobHandle], object], done: str) -> None:
    """Act on every job, whatever becomes of the others, and fail in the end if any could not be acted on."""
    failed = False
    for job_id in job_ids:
        try:
            act(find_job(queue, job_id))
            click.echo(done.format(job_id))
        except QueueError as error:
            failed = True
            click.echo(f"Error: {printable(str(error))}", err=True)
    if failed:
        raise SystemExit(1)
