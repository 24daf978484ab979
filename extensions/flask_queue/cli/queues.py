"""`flask queue pause` and `resume`: keep the workers away from queues, and let them at them again."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..current import current_queue
from .parameters import check_queue


@click.command(short_help="Keep the workers away from queues.")
@click.argument("names", nargs=-1, required=True, metavar="QUEUE...")
@with_appcontext
def pause(names: tuple[str, ...]) -> None:
    """Keep the workers away from queues. What runs already goes on, and jobs can still be enqueued.

    \b
    Example:
      flask queue pause mailers
    """
    queue = current_queue()
    for name in names:
        check_queue(queue, name)
    for name in names:
        queue.queues[name].pause()
        click.echo(f"Paused {name}.")


@click.command(short_help="Let the workers at queues again.")
@click.argument("names", nargs=-1, required=True, metavar="QUEUE...")
@with_appcontext
def resume(names: tuple[str, ...]) -> None:
    """Let the workers at paused queues again.

    \b
    Example:
      flask queue resume mailers default
    """
    queue = current_queue()
    for name in names:
        check_queue(queue, name)
    for name in names:
        queue.queues[name].resume()
        click.echo(f"Resumed {name}.")
