"""`flask litestream restore | verify`: the way back, and the proof that there is one."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..commands import Target
from ..errors import AlreadyRunning, CommandTimedOut
from ..moments import age_text, rfc3339
from ..outcomes import Verification
from .group import as_json, backups, litestream_cli, say_if_off


@litestream_cli.command("restore")
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The new file; by default the database itself.")
@click.option("--timestamp", help="The state at a moment, like 2026-11-24T03:41:00Z.")
@click.option("--txid", help="The state after a transaction, as `flask litestream ltx` lists them.")
@click.option("--force", is_flag=True, help="Overwrite the file, once the copy is whole. Stop all that uses it first.")
@click.option("--dry-run", is_flag=True, help="Say what would be restored, and write nothing.")
@click.option("--if-db-not-exists", is_flag=True, help="Do nothing, successfully, if the file is there.")
@click.option("--if-replica-exists", is_flag=True, help="Do nothing, successfully, if there is no backup.")
@as_json
def restore_command(
    name: str, output: Path | None, timestamp: str | None, txid: str | None, as_json: bool, **options: bool
) -> None:
    """Bring a database back from its replica.

    \b
    On a new machine, before the first start:
      flask litestream restore primary
      flask litestream restore queue
    Beside the live database, to look something up:
      flask litestream restore primary -o /tmp/yesterday.sqlite3 --timestamp 2026-11-23T12:00:00Z
    """
    if timestamp and txid:
        raise click.UsageError("Give --timestamp or --txid, not both.")
    database = backups().database(name)
    target = Target((output or database.path).absolute(), _timestamp(timestamp), txid)
    if target.output.exists() and not target.output.is_file():  # a device that is empty Litestream would replace
        raise click.ClickException(f"{target.output} is there and no file. Nothing was restored.")
    if not options["dry_run"] and (options["force"] or not target.output.exists()):  # else Litestream leaves it alone
        _check_place(target.output, force=options["force"])
    if _overwrites(target.output, options):
        summary = _restore_over(database.path, target, _chosen({**options, "force": False}))
    else:
        summary = _restore(database.path, target, _chosen(options))
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        click.echo(_restored_line(name, target, summary, dry_run=options["dry_run"]))


def _timestamp(text: str | None) -> str | None:
    try:
        return rfc3339(text) if text else None
    except ValueError as error:
        raise click.BadParameter(f"It {error}", param_hint="--timestamp") from error


def _check_place(output: Path, *, force: bool) -> None:
    """Refuse to write where what is there would go on with the old database."""
    live = {database.path.resolve() for database in backups().databases}
    if output.resolve() in live and backups().is_running():
        raise AlreadyRunning("Litestream runs and would go on with the old database. Stop it, and all that uses it, first.")
    left = [] if force or output.exists() else _left_by(output)
    if left:
        raise click.ClickException(
            f"{output} is gone, but {' and '.join(path.name for path in left)} of it is there, which SQLite would put into the "
            "restored database. That may hold the last transactions: move it away, or give --force to delete it. "
            "Nothing was restored."
        )


def _left_by(path: Path) -> list[Path]:
    """What stands beside a database and belongs to it."""
    return [beside for end in ("-wal", "-shm", "-journal") if (beside := path.with_name(path.name + end)).exists()]


def _overwrites(output: Path, options: Mapping[str, bool]) -> bool:
    skipped = options["if_db_not_exists"] and output.exists()
    return options["force"] and not options["dry_run"] and not skipped


def _chosen(options: Mapping[str, bool]) -> list[str]:
    check = [] if options["dry_run"] else ["-integrity-check", "quick"]
    return [*(f"-{key.replace('_', '-')}" for key, wanted in options.items() if wanted), *check]


def _restore_over(database: Path, target: Target, chosen: list[str]) -> dict[str, Any]:
    """Restore beside the old file, and put the copy in its place when it is whole.

    Litestream's own -force removes the old file first, also where there turns out to be nothing to restore.
    """
    final = target.output.resolve()
    partial = final.with_name(f".restore-{uuid.uuid4().hex}.partial")
    try:
        summary = _restore(database, replace(target, output=partial), chosen)
        if partial.exists():  # else there is no backup, which --if-replica-exists allows
            for path in _left_by(final):
                path.unlink()
            os.replace(partial, final)
    finally:
        for leftover in final.parent.glob(f"{partial.name}*"):
            leftover.unlink(missing_ok=True)
    return {**summary, "db_path": str(target.output)} if summary else summary


def _restore(database: Path, target: Target, chosen: list[str]) -> dict[str, Any]:
    try:
        return backups().commands.restore(database, target, options=chosen, timeout=backups().settings.timeouts.restore)
    except CommandTimedOut:
        target.output.with_name(f"{target.output.name}.tmp").unlink(missing_ok=True)
        raise


def _restored_line(name: str, target: Target, summary: dict[str, Any], *, dry_run: bool) -> str:
    if not summary:
        return f"Nothing was restored: {target.output} is there already, or there is no backup."
    if dry_run:
        files = len(summary.get("files") or [])
        return f"{name} would be restored to {target.output}, transaction {summary['max_txid']}, from {files} files."
    return f"{name} was restored to {target.output}, transaction {summary.get('txid')}."


@litestream_cli.command("verify")
@click.argument("names", nargs=-1)
@as_json
@click.pass_context
def verify_command(ctx: click.Context, names: Sequence[str], as_json: bool) -> None:
    """Prove that the backups can be restored.

    Without NAMES: every database. A row is written, replicated, restored to a private folder and looked for there; then
    row and folder are removed. The exit code is 1 if a backup could not be proved. The recurring job
    flask_litestream.verification_job does the same every day.
    """
    say_if_off()
    for name in names:
        backups().database(name)  # before the first verification, refuse a name that is none
    results = backups().verify_all(names)
    if as_json:
        click.echo(json.dumps([result.to_json() for result in results], indent=2))
    for result in [] if as_json else results:
        click.echo(_result_line(result), err=not result.ok)
    if not all(result.ok for result in results):
        ctx.exit(1)


def _result_line(result: Verification) -> str:
    if result.ok:
        return f"{result.database}: proved in {age_text(result.duration)}, at transaction {result.txid}."
    return f"{result.database}: FAILED after {age_text(result.duration)} ({result.reason}): {result.message}"
