"""Run the litestream program and read its JSON. One method for each command this extension uses.

Apart because it is the only place that builds a command line: a list of arguments, never a shell; always with a
timeout, since a command waits for S3 as long as S3 makes it; and options before the database, as Litestream wants them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from . import executable
from .configfile import Configuration
from .errors import CommandFailed, CommandTimedOut

SNAPSHOT_LEVEL = 9


@dataclass(frozen=True)
class LtxFile:
    """A file of the replica. Level 9 holds snapshots, 0 single transactions, those between compacted ones."""

    level: int
    min_txid: str
    max_txid: str
    size: int
    timestamp: datetime


@dataclass(frozen=True)
class Target:
    """What to restore and to where.

    :param output: the new file.
    :param timestamp: a moment in RFC 3339, for the state at that time; by default the latest.
    :param txid: a transaction, for the state after it.
    """

    output: Path
    timestamp: str | None = None
    txid: str | None = None


class Commands:
    """The litestream program with one application's configuration."""

    def __init__(self, configuration: Configuration, chosen: Path | None = None) -> None:
        self.configuration = configuration
        self._chosen = chosen

    @cached_property
    def executable(self) -> Path:
        """The program. :raises ExecutableNotFound: or ExecutableTooOld, if there is none to use."""
        return executable.find(self._chosen)

    def run(self, command: str, *arguments: str | Path, timeout: float = 60.0) -> str:
        """Run one command and return what it writes.

        :raises CommandFailed: with its exit code and its reason.
        :raises CommandTimedOut: if it had to be killed.
        """
        self.configuration.write()
        line = self.line(command, *arguments)
        environment = self.configuration.environment()
        try:
            ended = subprocess.run(
                line, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout, umask=0o077
            )
        except subprocess.TimeoutExpired as error:
            raise CommandTimedOut(command, timeout) from error
        if ended.returncode != 0:
            raise CommandFailed(command, ended.returncode, last_error(f"{ended.stdout}\n{ended.stderr}"))
        return ended.stdout

    def line(self, command: str, *arguments: str | Path) -> list[str]:
        """Return the command line."""
        return [str(self.executable), command, "-config", str(self.configuration.path), *map(str, arguments)]

    def status(self, timeout: float = 60.0) -> dict[str, dict[str, str]]:
        """Return what can be said of each database without the daemon, by path."""
        return {one["database"]: one for one in self._json("status", "-json", timeout=timeout)}

    def ltx(self, database: Path, level: str = "all", timeout: float = 60.0) -> list[LtxFile]:
        """Return the files of a database's replica, oldest transaction first."""
        listed = self._json("ltx", "-level", level, "-json", database, timeout=timeout)
        files = [
            LtxFile(one["level"], one["min_txid"], one["max_txid"], one["size"], datetime.fromisoformat(one["timestamp"]))
            for one in listed
        ]
        return sorted(files, key=lambda file: (file.max_txid, file.level))

    def restore(self, database: Path, target: Target, *, options: Sequence[str] = (), timeout: float) -> dict[str, Any]:
        """Restore a database and return Litestream's summary.

        :param options: further options of ``litestream restore``.
        """
        chosen = ["-o", str(target.output), *options]
        if target.timestamp:
            chosen += ["-timestamp", target.timestamp]
        if target.txid:
            chosen += ["-txid", target.txid]
        summary: dict[str, Any] = self._json("restore", "-json", *chosen, database, timeout=timeout) or {}
        return summary

    def _json(self, command: str, *arguments: str | Path, timeout: float) -> Any:
        return document_in(self.run(command, *arguments, timeout=timeout))


def document_in(written: str) -> Any:
    """Return the JSON document in what a command wrote; a user's own file may let the log into it, line by line."""
    lines = written.split("\n")  # a path may hold what else counts as the end of a line
    for index, line in enumerate(lines):
        if line in ("{", "[", "{}", "[]"):
            return json.JSONDecoder().raw_decode("\n".join(lines[index:]))[0]
    return []


def last_error(written: str) -> str:
    """Return the reason out of what a failed litestream wrote: its last ``Error:`` line, or else its last line."""
    lines = [line.strip() for line in written.splitlines() if line.strip()]
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return (errors or lines or ["it gave no reason"])[-1]
