"""`flask queue work`: run what is due, then exit. For cron, for scripts, and to try a job out."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..config.values import complaint_of_selector, selectors
from ..current import current_queue
from ..processes.drain import Drain
from ..supervisors.signals import trapped
from .output import counted
from .parameters import COUNT
from .progress import performed_jobs_counted


@click.command(short_help="Run what is due, then exit.")
@click.option("--limit", type=COUNT, metavar="N", help="Run at most N jobs.")
@click.option("--queues", default="*", show_default=True, help='Names in order of preference; "mail*" is all that begin so.')
@with_appcontext
def work(limit: int | None, queues: str) -> None:
    """Run the jobs that are due until none is left, then exit.

    Scheduled jobs that are due become ready, blocked ones run as slots become free, and nothing is waited for. The exit status
    is 0 even if jobs failed: see `flask queue list --state failed`.

    TERM and INT (Ctrl-C) let the job that runs end, and begin no other. A second one, or QUIT, puts it back into the queue.

    \b
    Examples:
      flask queue work
      flask queue work --limit 100 --queues mailers,default
    """
    chosen = selectors([queues])
    if not chosen:
        raise click.UsageError('--queues needs at least one name; "*" is all.')
    for complaint in filter(None, map(complaint_of_selector, chosen)):
        click.echo(f"Warning: --queues: {complaint}", err=True)
    queue = current_queue()
    process = Drain(queue.runtime(), limit=limit, queues=chosen)
    with performed_jobs_counted(queue, lambda: queue.jobs.ready.count(cap=limit)), trapped(process.interrupt, process.quit):
        process.run()
    click.echo(f"Ran {counted(process.performed, 'job')}.")
