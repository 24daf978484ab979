"""`flask queue check`: is the configuration right? Needs no database, so that it can run before a deployment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from flask.cli import with_appcontext

from ..config import Configuration, Only
from ..current import current_queue
from ..errors import ConfigurationError
from .output import counted

Command = Callable[..., Any]


def configuration_options(command: Command) -> Command:
    """The options that `check` and `start` share."""
    for option in reversed(
        (
            click.option("--config-file", metavar="FILE", help="Instead of config/queue.yml (QUEUE_CONFIG_FILE)."),
            click.option(
                "--recurring-schedule-file", metavar="FILE", help="Instead of config/recurring.yml (QUEUE_RECURRING_FILE)."
            ),
            click.option("--skip-recurring", is_flag=True, help="Leave the recurring tasks out (QUEUE_SKIP_RECURRING)."),
            click.option("--only-work", is_flag=True, help="Workers only."),
            click.option("--only-dispatch", is_flag=True, help="Dispatchers only."),
            click.option("--only-schedule", is_flag=True, help="The scheduler only."),
        )
    ):
        command = option(command)
    return command


def read_configuration(
    config_file: str | None,
    recurring_schedule_file: str | None,
    skip_recurring: bool,
    only_work: bool,
    only_dispatch: bool,
    only_schedule: bool,
    *,
    more: Sequence[str] = (),
) -> Configuration:
    """The configuration that the options ask for. Its warnings are printed.

    :param more: problems that were found elsewhere
    :raises ConfigurationError: with every problem, one a line
    """
    configuration = current_queue().configuration(
        only=_only(work=only_work, dispatch=only_dispatch, schedule=only_schedule),
        config_file=config_file,
        recurring_file=recurring_schedule_file,
        skip_recurring=skip_recurring or None,
    )
    for warning in configuration.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if problems := [*more, *configuration.problems]:
        raise ConfigurationError("\n".join((f"{_title()} is invalid:", *problems)))
    return configuration


def _only(**asked: bool) -> Only | None:
    chosen: list[Any] = [name for name, is_asked in asked.items() if is_asked]
    if len(chosen) > 1:
        raise click.UsageError(f"Choose one of {', '.join(f'--only-{name}' for name in chosen)}.")
    return chosen[0] if chosen else None


def _title() -> str:
    return f"Flask-Queue's {current_queue().settings.environment} configuration"


@click.command(short_help="Check the configuration, without a database.")
@configuration_options
@with_appcontext
def check(**options: Any) -> None:
    """Check the configuration and the schedules, without a database.

    Exit status 0 if they are valid. If not, 1, and every problem stands on a line of its own, with the file and the option or
    the key of the task.

    \b
    Examples:
      flask queue check
      QUEUE_ENVIRONMENT=production flask queue check
      flask queue check --config-file other.yml --skip-recurring
    """
    configuration = read_configuration(**options, more=_problems_of_settings())
    click.echo(f"{_title()} is valid.")
    click.echo(f"It runs {', '.join(_contents(configuration))}.")


def _problems_of_settings() -> Sequence[str]:
    """What is wrong with settings that lead into the application, which was not there when the others were checked."""
    try:
        current_queue().settings.find_authorize()
    except ConfigurationError as error:
        return error.problems
    return ()


def _contents(configuration: Configuration) -> list[str]:
    workers = sum(worker.processes for worker in configuration.workers)
    kinds = [(workers, "worker"), (len(configuration.dispatchers), "dispatcher"), (len(configuration.schedulers), "scheduler")]
    found = [counted(number, kind) for number, kind in kinds if number]
    return [*found, counted(len(configuration.recurring_tasks), "recurring task")] if configuration.schedulers else found
