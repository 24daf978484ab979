"""Measure cases side by side: the first repetition of all of them, then the second, so that a bad minute hits all alike."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import databases, processes
from .cases import Case
from .figures import GROUPS, Sizes
from .measure import Task

#: A case that takes longer has got stuck.
TIMEOUT = 240


class Progress:
    """Lines on stderr: how long it has been, and what is being done."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began:4.0f} s] {text}", file=sys.stderr, flush=True)


@dataclass
class Results:
    """What was measured, on what, and how: each row has case, repetition, group and values."""

    repetitions: int
    sizes: dict[str, Any]
    machine: dict[str, str] = field(default_factory=dict)
    #: The names of what was not measured, by the reason.
    left_out: dict[str, list[str]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    durability: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, name: str) -> None:
        """Note why something was not measured, once."""
        names = self.left_out.setdefault(reason, [])
        if name not in names:
            names.append(name)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    cases: Sequence[Case], groups: Sequence[str], sizes: Sizes, results: Results, folder: Path, progress: Progress
) -> None:
    """Measure groups of figures of all cases, as often as `results` says, and add them to it."""
    alone = [group for group in groups if group != "idle"]
    for repetition in range(results.repetitions):
        run = _Run(folder, sizes, repetition, results, progress)
        for case in cases if alone else ():
            run.measure(case, alone)
        if "idle" in groups and processes.CAN_WEIGH:
            run.measure_idle([case for case in cases if case.module != "raw"])


@dataclass
class _Run:
    """One repetition."""

    folder: Path
    sizes: Sizes
    repetition: int
    results: Results
    progress: Progress

    @property
    def label(self) -> str:
        return f"{self.repetition + 1} of {self.results.repetitions}"

    def measure(self, case: Case, groups: Sequence[str]) -> None:
        """One case in a process of its own."""
        with self._process(case, groups) as process:
            self._read(case, process)

    def measure_idle(self, cases: Sequence[Case]) -> None:
        """All at the same time: they have nothing to do, so they are not in one another's way."""
        self.progress(f"{self.label}: all, {GROUPS['idle']}")
        with ExitStack() as stack:
            started = [(case, stack.enter_context(self._process(case, ["idle"]))) for case in cases]
            for case, process in started:
                self._read(case, process, quiet=True)

    @contextmanager
    def _process(self, case: Case, groups: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """A process that measures; it, its workers and its database are gone at the end."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with databases.fresh(case.database, folder) as url:
            task = Task(case.key, url, list(groups), self.sizes)
            path = os.pathsep.join(filter(None, (str(processes.ROOT), os.environ.get("PYTHONPATH"))))
            with (folder / "stderr").open("w") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-m", f"{__package__}.measure", task.as_json()],
                    cwd=folder,
                    env={**os.environ, "PYTHONPATH": path},
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                )
            watch = threading.Timer(TIMEOUT, process.terminate)
            watch.start()
            try:
                yield process
            finally:
                watch.cancel()
                _end(process)
                if process.returncode:
                    self._complain(case, (folder / "stderr").read_text().strip()[-1000:] or "was ended")

    def _read(self, case: Case, process: subprocess.Popen[str], *, quiet: bool = False) -> None:
        assert process.stdout
        for text in process.stdout:
            line = json.loads(text)
            if "durability" in line:
                self.results.durability[case.key] = line["durability"]
            elif "doing" in line and not quiet:
                self.progress(f"{self.label}: {case.key}, {line['doing']}")
            elif "failed" in line:
                self._complain(case, f"{line['failed']}: {line['error']}")
            elif "values" in line:
                self.results.rows.append({"case": case.key, "repetition": self.repetition, **line})
        process.wait()

    def _complain(self, case: Case, what: str) -> None:
        self.progress(f"{case.key} failed: {what}")
        self.results.errors.append(f"{case.key}: {what.splitlines()[-1]}")


def _end(process: subprocess.Popen[str]) -> None:
    """Let it clean up after itself; if it does not, end it and all that it started."""
    if process.poll() is None:
        family = processes.tree([process.pid])
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        processes.kill([pid for pid in family if pid != process.pid or process.poll() is None])
        process.wait()
    if process.stdout:
        process.stdout.close()
