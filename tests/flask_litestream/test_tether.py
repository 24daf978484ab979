"""The one process between a server and Litestream: it passes on what it is told once, in a bounded time, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from flask_litestream import replicator

from ..harness.process_table import children_of
from ..harness.waiting import eventually
from .stage import process, wait_for_end

TETHER = str(Path(replicator.__file__).with_name("tether.py"))


def tethered(
    script: str, *, grace: float = 5, parent: int | None = None, program: str = "/bin/sh"
) -> AbstractContextManager[subprocess.Popen[str]]:
    line = [sys.executable, "-I", "-S", TETHER, str(parent or os.getpid()), str(grace), program, "-c", script]
    return process(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def first_line(started: subprocess.Popen[str]) -> str:
    assert started.stdout is not None
    return started.stdout.readline()


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 128 + 9)])
def test_the_programs_exit_code_is_passed_on(script: str, code: int) -> None:
    with tethered(script) as started:
        assert started.wait(10) == code


def test_all_that_the_program_writes_is_passed_on() -> None:
    with tethered("echo to stdout; echo to stderr >&2") as started:
        assert started.communicate(timeout=10)[0].splitlines() == ["to stdout", "to stderr"]


def test_a_program_that_is_not_there_is_said() -> None:
    with tethered("", program="/nowhere/litestream") as started:
        assert "Error: cannot run /nowhere/litestream" in started.communicate(timeout=10)[0]
        assert started.returncode == 126


def test_sigterm_is_passed_on_once_because_litestream_skips_its_last_sync_at_the_second(folder: Path) -> None:
    told = folder / "told"
    script = f"trap 'echo told >> {told}' TERM; echo ready; while ! [ -e {folder}/end ]; do sleep 0.02; done"
    with tethered(script) as started:
        assert first_line(started) == "ready\n"
        for _ in range(3):
            started.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        (folder / "end").touch()
        assert started.wait(10) == 0
    assert told.read_text() == "told\n"


def test_a_program_that_does_not_end_is_killed_when_the_grace_is_over() -> None:
    with tethered("trap '' TERM; echo ready; while true; do sleep 0.02; done", grace=0.3) as started:
        first_line(started)
        began = time.monotonic()
        started.send_signal(signal.SIGTERM)
        assert started.wait(10) == 128 + signal.SIGKILL
        assert 0.25 < time.monotonic() - began < 2


def test_a_killed_tether_takes_the_program_along() -> None:
    with tethered("echo $$; exec sleep 60") as started:
        pid = int(first_line(started))
        started.kill()
        wait_for_end(pid)


def test_the_program_outlives_its_readers_to_finish_what_it_must(folder: Path) -> None:
    """A dead server reads nothing any more; what Litestream writes while it stops must not be its end."""
    script = f"echo ready; read -r _ < {folder}/go; echo one; sleep 0.05; echo two; touch {folder}/finished"
    os.mkfifo(folder / "go")
    with tethered(script) as started:
        assert first_line(started) == "ready\n"
        assert started.stdout is not None
        started.stdout.close()
        (folder / "go").write_text("\n")
        assert started.wait(10) == 0
    assert (folder / "finished").exists()


def test_without_the_parent_it_was_started_by_nothing_runs(folder: Path) -> None:
    with tethered(f"touch {folder}/ran", parent=1) as started:
        assert started.wait(10) == 0
    assert not (folder / "ran").exists()


def test_the_program_ends_with_a_parent_that_is_killed(folder: Path) -> None:
    parent = (
        "import os, subprocess, sys, threading\n"
        f"line = [sys.executable, '-I', '-S', {TETHER!r}, str(os.getpid()), '1', '/bin/sleep', '60']\n"
        "run = lambda: subprocess.run(line, stdin=subprocess.DEVNULL, start_new_session=True)\n"
        "thread = threading.Thread(target=run); thread.start(); print('started', flush=True); thread.join()\n"
    )
    with process([sys.executable, "-c", parent], stdout=subprocess.PIPE) as started:
        first_line(started)
        tether = eventually(lambda: children_of(started.pid)).pop()
        program = eventually(lambda: children_of(tether)).pop()
        started.kill()
        wait_for_end(tether)
        wait_for_end(program)
