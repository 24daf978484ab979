"""`flask litestream …`: the backups from the command line, by database name, with Litestream's exit codes.

Apart because only this module knows click. Each command finds, calls one verb of `Backups` and says what came of it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from flask import current_app
from flask.cli import AppGroup

from .backups import Backups
from .commands import SNAPSHOT_LEVEL, LtxFile, Target
from .control import DaemonInfo
from .errors import AlreadyRunning, CommandFailed, CommandTimedOut, DaemonUnreachable, LitestreamError, NotRunnable
from .moments import age_text, moment_text, rfc3339, size_text
from .outcomes import Verification

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
        except LitestreamError as error:
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


@litestream_cli.command("config")
@as_json
def config_command(as_json: bool) -> None:
    """Show what Litestream is told.

    It is generated from the LITESTREAM_ settings, or it is your own file where LITESTREAM_CONFIG_PATH names one.
    Secrets are never in it: it refers to environment variables, which `flask litestream env` lists.
    """
    _say_if_off()
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
    _say_if_off()
    shown = {name: value if reveal or not _is_secret(name) else "…" for name, value in _variables().items()}
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    for name, value in ({} if as_json else shown).items():
        click.echo(f"export {name}={shlex.quote(value)}" if reveal else f"{name}={value}")


def _variables() -> dict[str, str]:
    credentials = {name: os.environ[name] for name in CREDENTIALS if name in os.environ}
    return {**credentials, **backups().configuration.added}


CREDENTIALS = ("LITESTREAM_ACCESS_KEY_ID", "LITESTREAM_SECRET_ACCESS_KEY")


def _is_secret(name: str) -> bool:
    return name in CREDENTIALS or name.startswith("LITESTREAM_SECRET_")


@litestream_cli.command("databases")
@as_json
def databases_command(as_json: bool) -> None:
    """List databases, files and replicas.

    By default these are all SQLite files of the application: the primary one and one for each bind.
    """
    _say_if_off()
    rows = [
        {"name": one.name, "path": str(one.path), "replica": one.replica.target if one.replica else None}
        for one in backups().databases
    ]
    _show(as_json, rows, ("name", "path", "replica"))


@litestream_cli.command("status")
@as_json
@click.pass_context
def status_command(ctx: click.Context, as_json: bool) -> None:
    """Show whether and how far it replicates.

    The exit code is 1 if Litestream is switched on and does not run. That it runs does not prove that the replica can
    be restored: `flask litestream verify` does.
    """
    _say_if_off()
    daemon, rows = _daemon(), _status_rows()
    if as_json:
        shown = {"enabled": backups().settings.enabled, "daemon": vars(daemon) if daemon else None, "databases": rows}
        click.echo(json.dumps(shown, indent=2))
    else:
        click.echo(_daemon_line(daemon))
        _show(False, rows, ("name", "status", "last_sync", "txid", "size", "wal_size", "verified"))
    if daemon is None and backups().settings.enabled:
        ctx.exit(1)


def _daemon() -> DaemonInfo | None:
    try:
        return backups().control.info()
    except DaemonUnreachable:
        return None


def _daemon_line(daemon: DaemonInfo | None) -> str:
    if daemon is None:
        return "Litestream does not run: nothing is being replicated. Start it with: flask litestream replicate"
    return f"Litestream {daemon.version} runs (pid {daemon.pid}, since {age_text(daemon.uptime_seconds)})."


def _status_rows() -> list[dict[str, object]]:
    try:
        live = backups().control.databases()
    except DaemonUnreachable:
        live = {}
    still, verified = backups().commands.status(), backups().outcomes.all()
    return [
        {
            "name": one.name,
            "status": live[str(one.path)].status if str(one.path) in live else "not replicating",
            "last_sync": moment_text(live[str(one.path)].last_sync_at) if str(one.path) in live else "unknown",
            "txid": still.get(str(one.path), {}).get("local_txid"),
            "size": size_text(one.path.stat().st_size) if one.path.exists() else "no file",
            "wal_size": still.get(str(one.path), {}).get("wal_size"),
            "verified": _verified_text(verified.get(one.name)),
        }
        for one in backups().databases
    ]


def _verified_text(last: Verification | None) -> str:
    if last is None:
        return "never"
    return f"{'proved' if last.ok else 'FAILED'} {moment_text(last.started_at)}"


@litestream_cli.command("snapshots")
@click.argument("name")
@as_json
def snapshots_command(name: str, as_json: bool) -> None:
    """List the snapshots of a replica.

    The oldest one is the earliest moment that can be restored.
    """
    _say_if_off()
    _show_ltx(as_json, backups().ltx(name, str(SNAPSHOT_LEVEL)))


@litestream_cli.command("ltx")
@click.argument("name")
@click.option("--level", default="all", show_default=True, help="0 to 9: 0 single transactions, 9 snapshots; or all.")
@as_json
def ltx_command(name: str, level: str, as_json: bool) -> None:
    """List the files of a replica.

    Each holds the transactions from its first to its last. NAME is a database, as `flask litestream databases` lists them.
    """
    _say_if_off()
    _show_ltx(as_json, backups().ltx(name, level))


def _show_ltx(as_json: bool, files: Iterable[LtxFile]) -> None:
    rows = [
        {
            "level": file.level,
            "min_txid": file.min_txid,
            "max_txid": file.max_txid,
            "size": file.size,
            "timestamp": file.timestamp.isoformat(),
        }
        for file in files
    ]
    _show(as_json, rows, ("level", "min_txid", "max_txid", "size", "timestamp"))


@litestream_cli.command("replicate")
@click.option("--once", is_flag=True, help="Copy what is new, then end; for a last copy before a move.")
def replicate_command(once: bool) -> None:
    """Copy every change as it happens.

    Runs in the foreground: this process becomes Litestream, so that systemd, Docker or a Procfile see its signals and
    its exit code. Beside the web server it runs by itself where LITESTREAM_ENABLED is true. Two never run for one
    application.
    """
    if not backups().settings.enabled:
        raise NotRunnable
    commands = backups().commands
    commands.configuration.write()
    line = commands.line("replicate", *(["-once"] if once else []))
    if _daemon() is not None:
        raise AlreadyRunning
    os.set_inheritable(backups().take_lock(), True)  # the lock is Litestream's from here to its end
    os.umask(0o077)  # a file replica is a readable copy of the database
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(line[0], line, commands.configuration.environment())


@litestream_cli.command("sync")
@click.argument("names", nargs=-1)
@click.option("--timeout", type=click.FloatRange(min=1), help="Seconds to wait; by default LITESTREAM_VERIFY_WAIT.")
@as_json
def sync_command(names: Sequence[str], timeout: float | None, as_json: bool) -> None:
    """Copy what is new now, and wait for it.

    Without NAMES: every database. Litestream does this by itself every LITESTREAM_SYNC_INTERVAL; ask for it before you
    stop a machine.
    """
    _say_if_off()
    rows = []
    for name in names or [one.name for one in backups().databases]:
        synced = backups().sync(name, timeout)
        rows.append({"name": name, "txid": synced.txid, "replicated_txid": synced.replicated_txid})
    _show(as_json, rows, ("name", "txid", "replicated_txid"))


@litestream_cli.command("restore")
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The new file; by default the database itself.")
@click.option("--timestamp", help="The state at a moment, like 2026-11-24T03:41:00Z.")
@click.option("--txid", help="The state after a transaction, as `flask litestream ltx` lists them.")
@click.option("--force", is_flag=True, help="Overwrite the file. Stop everything that uses it first.")
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
    database = backups().database(name)
    target = Target((output or database.path).absolute(), _timestamp(timestamp), txid)
    in_place = target.output == database.path
    if in_place and options["force"] and backups().is_running():
        raise AlreadyRunning("Litestream runs and would go on with the old database. Stop it, and all that uses it, first.")
    chosen = [f"-{key.replace('_', '-')}" for key, wanted in options.items() if wanted]
    summary = _restore(database.path, target, chosen)
    if in_place and summary and not options["dry_run"]:
        backups().commands.run("reset", database.path)  # what Litestream knew of the old file is not true of the new
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        click.echo(_restored_line(name, target, summary, dry_run=options["dry_run"]))


def _timestamp(text: str | None) -> str | None:
    try:
        return rfc3339(text) if text else None
    except ValueError as error:
        raise click.BadParameter(f"It {error}", param_hint="--timestamp") from error


def _restore(database: Path, target: Target, chosen: list[str]) -> dict[str, Any]:
    if target.timestamp and target.txid:
        raise click.UsageError("Give --timestamp or --txid, not both.")
    check = [] if "-dry-run" in chosen else ["-integrity-check", "quick"]
    try:
        return backups().commands.restore(
            database, target, options=[*chosen, *check], timeout=backups().settings.timeouts.restore
        )
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
    _say_if_off()
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


@litestream_cli.command("reset")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="List what would be removed.")
def reset_command(name: str, dry_run: bool) -> None:
    """Forget local state; begin with a snapshot.

    For a replica that cannot be continued, after missing or damaged files. Neither the database nor what the replica
    holds is touched. Stop Litestream first.
    """
    _say_if_off()
    database = backups().database(name)
    if not dry_run and backups().is_running():
        raise AlreadyRunning
    click.echo(backups().commands.run("reset", *(["-dry-run"] if dry_run else []), database.path).strip())


def _say_if_off() -> None:
    if not backups().settings.enabled:
        click.echo("Litestream is switched off here (LITESTREAM_ENABLED is false).", err=True)


def _show(as_json: bool, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as JSON, or as a table with a heading."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
        return
    table = [tuple(columns), *(tuple(str(row[column]) for column in columns) for row in rows)]
    widths = [max(len(cells[index]) for cells in table) for index in range(len(columns))]
    for cells in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
