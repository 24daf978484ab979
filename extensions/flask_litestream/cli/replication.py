"""`flask litestream replicate | sync | reset`: the copying itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from ..errors import AlreadyRunning, NotRunnable
from .group import as_json, backups, daemon_info, litestream_cli, say_if_off, show


@litestream_cli.command("replicate")
@click.option("--once", is_flag=True, help="Copy what is new, then end; for a last copy before a move.")
@click.option("--force-snapshot", is_flag=True, help="With --once: begin anew with a snapshot of each database.")
def replicate_command(once: bool, force_snapshot: bool) -> None:
    """Copy every change as it happens.

    Runs in the foreground: this process becomes Litestream, so that systemd, Docker or a Procfile see its signals and
    its exit code. Beside the web server it runs by itself where LITESTREAM_ENABLED is true. Two never run for one
    application.

    \b
    After files of a replica were lost or damaged, with everything else stopped:
      flask litestream replicate --once --force-snapshot
    """
    if force_snapshot and not once:
        raise click.UsageError("--force-snapshot goes with --once.")
    if not backups().settings.enabled:
        raise NotRunnable
    commands = backups().commands
    commands.configuration.write()
    line = commands.line("replicate", *["-once"] * once, *["-force-snapshot"] * force_snapshot)
    if daemon_info() is not None:
        raise AlreadyRunning
    backups().outcomes.watch(datetime.now(UTC))
    os.set_inheritable(backups().take_lock(), True)  # the lock is Litestream's from here to its end
    os.umask(0o077)  # a file replica is a readable copy of the database
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(line[0], line, commands.configuration.environment())


@litestream_cli.command("sync")
@click.argument("names", nargs=-1)
@click.option("--timeout", type=click.IntRange(1, 86_400), help="Seconds to wait; by default LITESTREAM_VERIFY_WAIT.")
@as_json
def sync_command(names: Sequence[str], timeout: int | None, as_json: bool) -> None:
    """Copy what is new now, and wait for it.

    Without NAMES: every database. Litestream does this by itself every LITESTREAM_SYNC_INTERVAL; ask for it before you
    stop a machine.
    """
    say_if_off()
    rows = []
    for name in names or [one.name for one in backups().databases]:
        synced = backups().sync(name, timeout)
        rows.append({"name": name, "txid": synced.txid, "replicated_txid": synced.replicated_txid})
    show(as_json, rows, ("name", "txid", "replicated_txid"))


@litestream_cli.command("reset")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="List what would be removed.")
def reset_command(name: str, dry_run: bool) -> None:
    """Forget Litestream's local state.

    For local files (beside the database, in a folder that ends in -litestream) that are missing or damaged, so that
    Litestream cannot go on. Neither the database nor what the replica holds is touched. Stop Litestream first. A damaged
    replica needs `flask litestream replicate --once --force-snapshot` instead.
    """
    say_if_off()
    database = backups().database(name)
    if not dry_run and backups().is_running():
        raise AlreadyRunning
    click.echo(backups().commands.run("reset", *(["-dry-run"] if dry_run else []), database.path).strip())
