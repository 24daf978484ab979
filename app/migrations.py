"""`flask db` for both databases: without -d, its commands work on the application's migrations, then on the queue's.

With -d they are Flask-Migrate's own and work on that folder alone.
"""

import copy
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import Flask, current_app, g
from flask_migrate.cli import db as flask_migrate_group
from sqlalchemy.exc import DBAPIError

from app.environment import ROOT
from app.extensions import migrate

FOLDERS = (ROOT / "migrations", ROOT / "migrations_queue")
CHANGING = ("upgrade", "downgrade", "stamp")  # the first failure ends them
READING = ("check", "current", "heads", "history")  # a failure does not keep them from looking at the other database

# Revisions that every folder has: base, head, heads, +1, -2.
COMMON_REVISION = re.compile(r"base|heads?|[+-]\d+")


def init_app(app: Flask) -> None:
    """Put our `db` group in place of Flask-Migrate's, which is shared by all applications and stays as it is."""
    group = copy.copy(flask_migrate_group)
    group.commands = {
        name: _covering(name, command) if name in CHANGING + READING else command
        for name, command in flask_migrate_group.commands.items()
    }
    app.cli.add_command(group, name="db")


@migrate.configure
def _print_where_we_print(config: Config) -> Config:
    """Alembic writes to what was the standard output when it was imported."""
    config.stdout = sys.stdout
    return config


def _covering(name: str, command: click.Command) -> click.Command:
    """A copy of the command that, without -d, runs in one folder after the other."""
    covering = copy.copy(command)

    def callback(directory: str | None, **options: Any) -> None:
        if chosen := directory or g.directory:
            _run(command, _existing(chosen), options)
        else:
            _run_in(_folders(options), command, options, go_on=name in READING)

    covering.callback = callback
    return covering


def _run_in(folders: Sequence[Path], command: click.Command, options: dict[str, Any], *, go_on: bool) -> None:
    failure: int | str | None = None
    for folder in folders:
        click.echo(f"{folder.name}:")
        try:
            _run(command, folder, options)
        except SystemExit as exit:
            failure = exit.code
            if not go_on:
                break
    if failure is not None:
        sys.exit(failure)


def _run(command: click.Command, folder: Path, options: dict[str, Any]) -> None:
    run: Callable[..., None] = command.callback  # type: ignore[assignment]
    try:
        run(directory=str(folder), **options)
    except DBAPIError as error:
        click.echo(f"Error: {folder.name}: {_advice(error)}", err=True)
        sys.exit(1)


def _advice(error: DBAPIError) -> str:
    said = " ".join(str(error.orig).split()).rstrip(".")
    if "already exists" in said:
        return f"The database says: {said}. If db.create_all() made the tables, say so once: flask db stamp head"
    return f"The database says: {said}. It is the one of SQLALCHEMY_DATABASE_URI, or of SQLALCHEMY_BINDS_QUEUE."


def _existing(directory: str) -> Path:
    """The folder as named from here or, where there is none, from the project's root."""
    return Path(directory) if Path(directory).is_dir() else ROOT / directory


def _folders(options: dict[str, Any]) -> Sequence[Path]:
    """The folders that a command without -d is for."""
    if options.get("sql"):
        raise click.UsageError("--sql writes the script of one database. Say which: -d migrations or -d migrations_queue.")
    revision = options.get("revision", "head")
    if COMMON_REVISION.fullmatch(revision):
        return FOLDERS
    knowing = [folder for folder in FOLDERS if _knows(folder, revision)]
    if not knowing:
        raise click.UsageError(f"Neither migrations nor migrations_queue has a revision {revision!r}.")
    return knowing


def _knows(folder: Path, revision: str) -> bool:
    config = current_app.extensions["migrate"].migrate.get_config(str(folder))
    try:
        return bool(ScriptDirectory.from_config(config).get_revisions(revision))
    except CommandError:
        return False
