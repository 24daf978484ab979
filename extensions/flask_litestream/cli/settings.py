"""`flask litestream config | env | databases`: what Litestream is told."""

from __future__ import annotations

import json
import os
import shlex

import click

from .group import as_json, backups, litestream_cli, say_if_off, show

CREDENTIALS = ("LITESTREAM_ACCESS_KEY_ID", "LITESTREAM_SECRET_ACCESS_KEY")


@litestream_cli.command("config")
@as_json
def config_command(as_json: bool) -> None:
    """Show what Litestream is told.

    It is generated from the LITESTREAM_ settings, or it is your own file where LITESTREAM_CONFIG_PATH names one.
    Secrets are never in it: it refers to environment variables, which `flask litestream env` lists.
    """
    say_if_off()
    configuration = backups().configuration
    configuration.write()
    if as_json:
        click.echo(json.dumps({"path": str(configuration.path), "text": configuration.text}))
        return
    click.echo(f"# {configuration.path}", err=True)
    click.echo(configuration.text, nl=False)


@litestream_cli.command("env")
@click.option("--reveal", is_flag=True, help="Show secrets too, and write lines for a shell's eval.")
@as_json
def env_command(reveal: bool, as_json: bool) -> None:
    """Show what is added to the environment.

    \b
    To run the litestream program by hand as this extension runs it:
      eval "$(flask litestream env --reveal)"
      litestream databases -config instance/litestream/litestream.json
    """
    say_if_off()
    shown = {name: value if reveal or not _is_secret(name) else "…" for name, value in _variables().items()}
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    for name, value in ({} if as_json else shown).items():
        click.echo(f"export {name}={shlex.quote(value)}" if reveal else f"{name}={value}")


def _variables() -> dict[str, str]:
    credentials = {name: os.environ[name] for name in CREDENTIALS if name in os.environ}
    return {**credentials, **backups().configuration.added}


def _is_secret(name: str) -> bool:
    return name in CREDENTIALS or name.startswith("LITESTREAM_SECRET_")


@litestream_cli.command("databases")
@as_json
def databases_command(as_json: bool) -> None:
    """List databases, files and replicas.

    By default these are all SQLite files of the application: the primary one and one for each bind. The names are those
    that all other commands take.
    """
    say_if_off()
    rows = [
        {"name": one.name, "path": str(one.path), "replica": one.replica.target if one.replica else None}
        for one in backups().databases
    ]
    show(as_json, rows, ("name", "path", "replica"))
