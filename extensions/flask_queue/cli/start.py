"""`flask queue start`: the supervisor and its processes, until they are told to stop."""

from __future__ import annotations

import sys
from typing import Any

import click
from flask.cli import with_appcontext

from .. import log, supervisors
from ..current import current_queue
from .check import configuration_options, read_configuration


@click.command(short_help="Run the supervisor, workers, dispatchers and scheduler.")
@click.option(
    "--mode",
    type=click.Choice(["fork", "thread"]),
    help="Each worker, dispatcher and scheduler in a process of its own, or all in one (QUEUE_MODE).",
)
@configuration_options
@with_appcontext
def start(mode: str | None, **options: Any) -> None:
    """Start the supervisor with its workers, dispatchers and scheduler.

    They run until TERM or INT (Ctrl-C): then nothing new is begun, what runs has QUEUE_SHUTDOWN_TIMEOUT seconds to end, and
    what does not end by then goes back into the queue. QUIT stops them at once.

    \b
    Examples:
      flask queue start
      flask queue start --mode thread --skip-recurring
      flask queue start --only-work --config-file config/mail-workers.yml
    """
    queue = current_queue()
    configuration = read_configuration(**options)
    queue.check_tables()
    log.to_standard_output()
    sys.exit(supervisors.start(queue.runtime(), configuration, mode=mode))
