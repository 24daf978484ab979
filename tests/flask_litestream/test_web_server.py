"""However a web server ends, its Litestream ends with it; and however many start one, one runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..harness.waiting import eventually, never
from .stage import Stage, has_ended, process, wait_for_end


@contextmanager
def server(root: Path, stage: Stage, how: str = "waitress", *settings: str) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, once it serves."""
    command = [sys.executable, "-m", "tests.flask_litestream.server", str(stage.folder), how, *settings]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with process(command, cwd=root, **options) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline().startswith("serving")
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)  # the reloader's child too
            started.wait()
            eventually(lambda: litestreams(stage) == [], what="Litestream outlives its server")


def litestreams(stage: Stage) -> list[int]:
    """The processes that are a Litestream of this test's application."""
    config = str(stage.backups.directory / "litestream.json").encode()
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_litestream(pid, config)]


def is_litestream(pid: int, config: bytes) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"/litestream") and config in words and not has_ended(pid)


def test_sigterm_of_the_server_stops_litestream_too(root: Path, stage: Stage) -> None:
    with server(root, stage) as web:
        [pid] = litestreams(stage)
        web.send_signal(signal.SIGTERM)
        assert web.wait(10) == 0
        assert has_ended(pid), "it ended before its server did"


def test_sigkill_of_the_server_leaves_no_litestream(root: Path, stage: Stage) -> None:
    with server(root, stage) as web:
        [pid] = litestreams(stage)
        stage.wait_until_synced()
        stage.write("primary", "the last")
        web.kill()
        wait_for_end(pid)
    assert stage.rows(stage.backups.restore_to_new_file("primary").path) == [1, 2], "it had the time for a last sync"


def test_sigkill_of_the_server_leaves_none_even_if_litestream_hangs(root: Path, stage: Stage) -> None:
    with server(root, stage) as web:
        [pid] = litestreams(stage)
        os.kill(pid, signal.SIGSTOP)
        web.kill()
        wait_for_end(pid, timeout=2 + 3)  # LITESTREAM_STOP_TIMEOUT is 2


def test_two_servers_have_one_litestream_and_the_second_takes_over(root: Path, stage: Stage) -> None:
    with server(root, stage) as first, server(root, stage):
        [before] = litestreams(stage)
        never(lambda: len(litestreams(stage)) != 1, during=0.5)
        first.send_signal(signal.SIGTERM)
        first.wait(10)
        eventually(lambda: litestreams(stage) not in ([], [before]), timeout=5)
        assert len(litestreams(stage)) == 1
        eventually(lambda: stage.backups.is_running())
        eventually(lambda: stage.verify().ok)


def test_the_reloader_and_its_child_have_one_litestream_through_a_reload(root: Path, stage: Stage) -> None:
    watched = stage.folder / "watched.txt"
    watched.write_text("one")
    with server(root, stage, "reloader"):
        eventually(lambda: len(litestreams(stage)) == 1)
        never(lambda: len(litestreams(stage)) > 1, during=0.5)
        before = eventually(lambda: reloaded_children(stage))
        eventually(lambda: touch(watched) and reloaded_children(stage) not in ([], before))
        assert len(litestreams(stage)) <= 1
        eventually(lambda: stage.verify().ok)
        assert len(litestreams(stage)) == 1


def touch(path: Path) -> bool:
    """Make a file newer than it was, since the reloader may not have looked at it yet."""
    later = path.stat().st_mtime + 10
    os.utime(path, (later, later))
    return True


def reloaded_children(stage: Stage) -> list[int]:
    """The processes the reloader serves from: the youngest with this folder on its command line."""
    named = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if names_folder(pid, str(stage.folder))]
    return sorted(named)[1:]


def names_folder(pid: int, folder: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (OSError, UnicodeDecodeError):
        return False
    return folder in words and "reloader" in words and not has_ended(pid)


def test_a_forked_worker_that_ends_does_not_stop_litestream(root: Path, stage: Stage) -> None:
    with server(root, stage, "fork"):
        assert len(litestreams(stage)) == 1
        assert stage.verify().ok


def test_with_on_exit_stop_the_server_ends_when_litestream_does(root: Path, stage: Stage) -> None:
    with server(root, stage, "waitress", "LITESTREAM_ON_EXIT=stop") as web:
        [pid] = litestreams(stage)
        assert web.poll() is None
        os.kill(pid, signal.SIGKILL)
        assert web.wait(10) == 0


def test_by_default_the_server_goes_on_and_litestream_comes_back(root: Path, stage: Stage) -> None:
    with server(root, stage) as web:
        [pid] = litestreams(stage)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: litestreams(stage) not in ([], [pid]))
        assert web.poll() is None


def test_a_server_whose_litestream_cannot_start_does_not_start(root: Path, stage: Stage) -> None:
    command = [sys.executable, "-m", "tests.flask_litestream.server", str(stage.folder), "waitress"]
    environment = {**os.environ, "LITESTREAM_BIN": "/nowhere/litestream"}
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode != 0
    assert "serving" not in ended.stdout
    assert "/nowhere/litestream" in ended.stderr
    assert litestreams(stage) == []


def test_where_it_is_switched_off_a_server_runs_alone(root: Path, stage: Stage) -> None:
    with server(root, stage, "waitress", "LITESTREAM_ENABLED=false") as web:
        assert litestreams(stage) == []
        web.send_signal(signal.SIGTERM)
        assert web.wait(10) == 0
