"""Real commands in processes of their own: started, watched, signalled, and never left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import process_table
from .waiting import eventually

ROOT = Path(__file__).parents[2]
FLASK = (sys.executable, "-m", "flask", "--app", "tests.harness.application")


class Command:
    """A command that runs on while the test acts. It leads a session, so that all it starts can be found again."""

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], output: Path, directory: Path = ROOT
    ) -> None:
        self.arguments = list(arguments)
        self.output_path = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                self.arguments,
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.output_path.read_text(errors="replace")

    @property
    def pids(self) -> set[int]:
        """Every living process of this command, orphans included."""
        return process_table.of_session(self.pid)

    @property
    def children(self) -> set[int]:
        return self.pids - {self.pid}

    def wait_for_output(self, pattern: str, *, timeout: float = 20) -> re.Match[str]:
        """Wait for a line that matches. Fails at once, with the output, when the command ends without it."""

        def found() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            match = re.search(pattern, self.output, re.MULTILINE)
            assert match or not ended, f"ended with {self.process.returncode} without {pattern!r}:\n{self.output}"
            return match

        match = eventually(found, timeout=timeout, what=lambda: f"{pattern!r} in the output:\n{self.output}")
        assert match
        return match

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def signal_group(self, number: int) -> None:
        """As a terminal does on Ctrl-C: to everyone in the foreground."""
        os.killpg(self.pid, number)

    def wait(self, *, timeout: float = 20) -> int:
        """The exit status, once the command has ended."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {timeout} s:\n{self.output}") from None

    def terminate(self, *, timeout: float = 20) -> int:
        self.signal(signal.SIGTERM)
        return self.wait(timeout=timeout)

    def wait_until_all_gone(self, *, timeout: float = 10) -> None:
        """Until neither the command nor anything it started lives."""
        self.process.poll()
        eventually(lambda: not self._remaining(), timeout=timeout, what=lambda: f"pids {self._remaining()} to be gone")

    def kill_everything(self) -> None:
        """The last resort, at the end of a test."""
        deadline = time.monotonic() + 10
        while (remaining := self._remaining()) and time.monotonic() < deadline:
            for pid in remaining:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        self.process.wait(10)

    def _remaining(self) -> set[int]:
        self.process.poll()
        return self.pids


def run(
    arguments: Sequence[str], *, environment: Mapping[str, str], directory: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, which must come within a minute."""
    return subprocess.run(
        list(arguments),
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
