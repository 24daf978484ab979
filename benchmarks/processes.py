"""The worker processes under test: started, weighed, and ended one by one. Weighing reads /proc, so it needs Linux."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: Where the package `benchmarks` is, for the workers to import.
ROOT = Path(__file__).parents[1]
PROC = Path("/proc")
#: Whether processes can be weighed here.
CAN_WEIGH = (PROC / "self" / "smaps_rollup").exists()

Command = Sequence[str]
Workers = list[subprocess.Popen[bytes]]


@contextmanager
def running(commands: Sequence[Command], folder: Path, ending: signal.Signals) -> Iterator[Workers]:
    """Run commands in `folder`; `ending` is the signal on which they end in good order."""
    started: Workers = []
    try:
        started += (_start(command, folder) for command in commands)
        yield started
    finally:
        family = tree_of(started)
        for process in started:
            process.send_signal(ending)
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
        kill(family)
        for process in started:
            process.wait()


def _start(command: Command, folder: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with (folder / "workers.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def script(name: str) -> str:
    """A command that was installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def kill(pids: Sequence[int]) -> None:
    """End those that still live."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def tree_of(workers: Workers) -> list[int]:
    """The pids of workers and of all that they have started."""
    return tree([process.pid for process in workers])


def tree(roots: Sequence[int]) -> list[int]:
    """`roots` and all their descendants that live. Without /proc only the roots are known."""
    parents = {pid: fields[1] for pid in _pids() if (fields := _stat(pid))}
    found = list(roots)
    for pid in found:  # grows as children are met
        found += (child for child, parent in parents.items() if int(parent) == pid and child not in found)
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that the processes have used, with that of their children which have ended."""
    ticks = sum(int(ticks) for pid in pids if (fields := _stat(pid)) for ticks in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_megabytes(pids: Sequence[int]) -> float:
    """Memory of the processes, where each page that several share counts once in all."""
    return sum(_pss(pid) for pid in pids) / 1024


def busy(seconds: float = 0.3) -> float:
    """The share of the machine's CPU time that was used in the next `seconds`; 0 where nobody knows."""
    before = _clock()
    time.sleep(seconds)
    after = _clock()
    passed = [later - earlier for earlier, later in zip(before, after, strict=True)]
    return 1 - sum(passed[3:5]) / sum(passed) if sum(passed) else 0.0


def _clock() -> list[int]:
    with suppress(OSError):
        return [int(ticks) for ticks in (PROC / "stat").read_text().split("\n")[0].split()[1:9]]
    return [0] * 8


def _pids() -> list[int]:
    return [int(path.name) for path in PROC.glob("[0-9]*")]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may contain anything; empty when the process is gone."""
    with suppress(OSError):
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    return []


def _pss(pid: int) -> int:
    with suppress(OSError):
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0
