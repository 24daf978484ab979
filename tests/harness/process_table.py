"""The operating system's view: which processes of a session live, without trusting what the queue says of them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OSProcess:
    pid: int
    parent: int
    session: int


def living() -> list[OSProcess]:
    """Every process that is not a zombie."""
    if Path("/proc/self/stat").exists():
        return [process for name in os.listdir("/proc") if name.isdigit() and (process := _from_proc(name))]
    return _from_ps()


def of_session(session: int) -> set[int]:
    """The pids of a session: of everything a command started, also when their parents are gone."""
    return {process.pid for process in living() if process.session == session}


def children_of(pid: int) -> set[int]:
    return {process.pid for process in living() if process.parent == pid}


def is_alive(pid: int) -> bool:
    return any(process.pid == pid for process in living())


def _from_proc(name: str) -> OSProcess | None:
    try:
        text = Path(f"/proc/{name}/stat").read_text()
    except OSError:  # it ended while we looked
        return None
    state, parent, _group, session, *_ = text[text.rindex(")") + 2 :].split()
    return None if state in "ZX" else OSProcess(int(name), int(parent), int(session))


def _from_ps() -> list[OSProcess]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,sess=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [OSProcess(int(pid), int(ppid), int(session, 0)) for pid, ppid, session, stat in rows if stat[0] != "Z"]
