"""`flask queue install`: give an application of one's own the queue's migrations and two files of configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from ..current import current_queue
from ..errors import QueueError

MIGRATIONS = "migrations_queue"
VERSIONS = f"{MIGRATIONS}/versions"

_IGNORED = ("__pycache__",)


@click.command(short_help="Write migrations and configuration into an application.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The application's folder [default: where its config/queue.yml is looked for].",
)
@click.option("--update", is_flag=True, help="Only add the migrations that a new version of Flask-Queue brings.")
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
@with_appcontext
def install(directory: Path | None, update: bool, force: bool) -> None:
    """Write migrations_queue/, config/queue.yml and config/recurring.yml into the application.

    What is there already stays as it is. After upgrading Flask-Queue, --update adds its new migrations.

    \b
    Examples:
      flask queue install
      flask queue install --update
    """
    if update and force:
        raise click.UsageError("Choose --update or --force, not both: migrations that have run must stay as they are.")
    directory = directory or current_queue().settings.root
    if update and not (directory / MIGRATIONS / "env.py").exists():
        raise QueueError(f"There is no {_shown(directory / MIGRATIONS)} to update. Run `flask queue install` first.")
    written = [_write(source, directory / name, force) for name, source in _files(update)]
    if update:
        click.echo("Now run the new migrations:" if any(written) else "Nothing to do: all migrations are here.")
    if any(written) or not update:
        _echo_next_commands(directory, update)


def _files(update: bool) -> Iterator[tuple[str, Traversable]]:
    """What there is to write: names below the application's folder, and where to read each."""
    for name, source in _walk(resources.files("flask_queue").joinpath("install"), ""):
        if not update or name.startswith(f"{VERSIONS}/"):
            yield name, source


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir() and entry.name not in _IGNORED:
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry


def _write(source: Traversable, target: Path, force: bool) -> bool:
    """Copy a file, unless it is there. Whether it was written."""
    content = source.read_bytes()
    if target.exists() and (not force or target.read_bytes() == content):
        click.echo(f"  keep    {_shown(target)}")
        return False
    verb = "replace" if target.exists() else "create "
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        raise QueueError(f"{_shown(target)} cannot be written: {error.strerror}.") from error
    click.echo(f"  {verb} {_shown(target)}")
    return True


def _echo_next_commands(directory: Path, update: bool) -> None:
    if not update:
        click.echo("Next:")
    if "migrate" not in current_app.extensions:
        click.echo("  in your application:  Migrate(app, db)    # from flask_migrate import Migrate")
    click.echo(f"  flask db -d {_shown(directory / MIGRATIONS)} upgrade")
    if not update:
        click.echo("  flask queue check")
        click.echo("  flask queue start")


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
