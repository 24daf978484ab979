"""`flask litestream status | snapshots | ltx`: how far replication is, and what the replica holds."""

from __future__ import annotations

import json
from collections.abc import Iterable

import click

from ..commands import SNAPSHOT_LEVEL, LtxFile
from ..control import DaemonInfo
from ..errors import DaemonUnreachable
from ..moments import age_text, moment_text, size_text
from ..outcomes import Verification
from .group import as_json, backups, daemon_info, litestream_cli, say_if_off, show


@litestream_cli.command("status")
@as_json
@click.pass_context
def status_command(ctx: click.Context, as_json: bool) -> None:
    """Show whether and how far it replicates.

    The exit code is 1 if Litestream is switched on and does not run. That it runs does not prove that the replica can
    be restored: `flask litestream verify` does.
    """
    say_if_off()
    daemon, rows = daemon_info(), _status_rows()
    if as_json:
        shown = {"enabled": backups().settings.enabled, "daemon": vars(daemon) if daemon else None, "databases": rows}
        click.echo(json.dumps(shown, indent=2))
    else:
        click.echo(_daemon_line(daemon))
        show(False, rows, ("name", "status", "last_sync", "txid", "size", "wal_size", "verified"))
    if daemon is None and backups().settings.enabled and not backups().runs_unasked():
        ctx.exit(1)


def _daemon_line(daemon: DaemonInfo | None) -> str:
    if daemon is None and backups().runs_unasked():
        return "Litestream runs, and cannot be asked: its configuration file enables no control socket."
    if daemon is None:
        return "Litestream does not run: nothing is being replicated. Start it with: flask litestream replicate"
    return f"Litestream {daemon.version} runs (pid {daemon.pid}, since {age_text(daemon.uptime_seconds)})."


def _status_rows() -> list[dict[str, object]]:
    try:
        live = backups().control.databases()
    except DaemonUnreachable:
        live = {}
    otherwise = "unknown" if backups().runs_unasked() else "not replicating"
    still, verified = backups().commands.status(), backups().outcomes.all()
    return [
        {
            "name": one.name,
            "status": live[str(one.path)].status if str(one.path) in live else otherwise,
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

    The oldest one is the earliest moment that can be restored, and LITESTREAM_SNAPSHOT_RETENTION says how long
    one is kept. NAME is a database, as `flask litestream databases`
    lists them.
    """
    say_if_off()
    _show_ltx(as_json, backups().ltx(name, str(SNAPSHOT_LEVEL)))


@litestream_cli.command("ltx")
@click.argument("name")
@click.option("--level", default="all", show_default=True, help="0 to 9: 0 single transactions, 9 snapshots; or all.")
@as_json
def ltx_command(name: str, level: str, as_json: bool) -> None:
    """List the files of a replica.

    Each holds the transactions from its first to its last. NAME is a database, as `flask litestream databases` lists them.
    """
    say_if_off()
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
    show(as_json, rows, ("level", "min_txid", "max_txid", "size", "timestamp"))
