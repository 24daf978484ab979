"""The group `flask litestream`, and what its commands have in common: errors, --json, tables.

Apart so that the modules of the commands need not know each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from flask import current_app
from flask.cli import AppGroup

from ..backups import Backups
from ..control import DaemonInfo
from ..errors import CommandFailed, DaemonUnreachable, LitestreamError

F = TypeVar("F", bound=Callable[..., Any])


class LitestreamGroup(AppGroup):
    """Turns every error of the extension into one message and an exit code, Litestream's own where it gave one."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CommandFailed as error:
            click.echo(f"Error: {error.reason}", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:  # whoever reads has enough: click ends in silence
            raise
        except (LitestreamError, OSError) as error:  # the latter of a folder that is full, read-only or not ours
            raise click.ClickException(str(error)) from error


@click.group("litestream", cls=LitestreamGroup)
def litestream_cli() -> None:
    """Back up the SQLite databases with Litestream, and prove it.

    \b
    A first round:
      flask litestream config       see what Litestream will be told
      flask litestream replicate    copy every change as it happens
      flask litestream status       see that it does
      flask litestream verify       prove that a restore brings everything back
    """


def as_json(command: F) -> F:
    """Give a command the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")(command)


def backups() -> Backups:
    """Return this application's backups."""
    found: Backups = current_app.extensions["litestream"].backups
    return found


def daemon_info() -> DaemonInfo | None:
    """Return the running Litestream, or None."""
    try:
        return backups().control.info()
    except DaemonUnreachable:
        return None


def say_if_off() -> None:
    """Say on stderr that the command speaks of something that is switched off."""
    if not backups().settings.enabled:
        click.echo("Litestream is switched off here (LITESTREAM_ENABLED is false).", err=True)


def show(as_json: bool, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as JSON, or as a table with a heading."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
        return
    table = [tuple(columns), *(tuple(str(row[column]) for column in columns) for row in rows)]
    widths = [max(len(cells[index]) for cells in table) for index in range(len(columns))]
    for cells in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
