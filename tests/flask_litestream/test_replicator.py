"""One Litestream beside the server: started, watched, started again, stopped in time."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_litestream.errors import ConfigurationError, ExecutableNotFound, NotRunnable, StartFailed
from flask_litestream.files import is_locked, release, try_lock
from flask_litestream.replicator import Replicator, State, parse_line, warn_of_old_sqlite

from ..harness.waiting import eventually, never
from .stage import Stage, has_ended, own_file, process, wait_for_end


def test_it_runs_during_the_block_and_not_after(stage: Stage) -> None:
    with stage.running() as replicator:
        assert replicator.state is State.RUNNING
        pid, tether = stage.daemon_pid(), replicator.pid
        assert tether is not None
        assert is_locked(stage.backups.lock_path)
    assert has_ended(pid)
    assert has_ended(tether)
    assert not is_locked(stage.backups.lock_path)
    assert not stage.backups.settings.places.socket.exists()


def test_the_last_row_is_replicated_before_it_ends(stage: Stage) -> None:
    with stage.running():
        stage.wait_until_synced()
        stage.write("primary", "the last")
    restored = stage.backups.restore_to_new_file("primary").path
    assert stage.rows(restored) == [1, 2]


def test_where_it_is_switched_off_nothing_runs(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(LITESTREAM_ENABLED=False)
    with stage.litestream.running(stage.app) as replicator:
        assert replicator is None
        assert not stage.backups.directory.exists()
    with pytest.raises(NotRunnable):
        stage.backups.replicator()


def test_the_replica_is_for_its_owner_alone(live: Stage) -> None:
    everything = list((live.folder / "backup").rglob("*"))
    assert everything
    assert [path for path in everything if path.stat().st_mode & 0o077] == []


def test_a_killed_litestream_is_started_again(stage: Stage) -> None:
    with replicating(stage, first_delay=0.1):
        first = stage.daemon_pid()
        os.kill(first, signal.SIGKILL)
        wait_for_end(first)
        second = eventually(lambda: other_pid(stage, first))
        assert stage.verify().ok
    assert has_ended(second)


def test_a_restart_writes_the_file_that_somebody_removed(stage: Stage) -> None:
    with replicating(stage, first_delay=0.1):
        first = stage.daemon_pid()
        stage.backups.configuration.path.unlink()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: other_pid(stage, first))


def test_a_killed_tether_takes_litestream_with_it_and_both_are_started_again(stage: Stage) -> None:
    with replicating(stage, first_delay=0.1) as replicator:
        first, tether = stage.daemon_pid(), replicator.pid
        assert tether is not None
        os.kill(tether, signal.SIGKILL)
        wait_for_end(first)
        eventually(lambda: other_pid(stage, first))


def test_each_restart_waits_longer(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with replicating(stage, first_delay=0.05), caplog.at_level(logging.ERROR, "flask_litestream"):
        for _ in range(3):
            pid = eventually(lambda: other_pid(stage, 0))
            os.kill(pid, signal.SIGKILL)
            wait_for_end(pid)
        eventually(lambda: other_pid(stage, pid))
    delays = [record.args for record in caplog.records if "started again" in record.message]
    assert delays == [(0.05,), (0.1,), (0.2,)]


def test_with_on_exit_stop_everything_stops_together(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(LITESTREAM_ON_EXIT="stop")
    stage.create()
    stopped: list[bool] = []
    with replicating(stage, stop_everything=lambda: stopped.append(True)):
        assert not stopped
        os.kill(stage.daemon_pid(), signal.SIGKILL)
        eventually(lambda: stopped)
        never(stage.backups.is_running, during=0.3)


def test_a_litestream_that_does_not_heed_sigterm_is_killed_in_time(stage: Stage) -> None:
    """As with an S3 that does not answer: stopped here, it cannot end by itself."""
    with stage.running():
        pid = stage.daemon_pid()
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < 2 + 1.5, "LITESTREAM_STOP_TIMEOUT is 2"
    assert has_ended(pid)


# --- starting ---


def test_what_litestream_refuses_is_the_starters_error_and_nothing_is_left(
    make_stage: Callable[..., Stage], folder: Path
) -> None:
    stage = make_stage(LITESTREAM_CONFIG_PATH=str(own_file(folder, "levels: [{interval: 0s}]")))
    with pytest.raises(StartFailed, match=r"ended with exit code 1: .*interval"), stage.running():
        pass
    assert not is_locked(stage.backups.lock_path)


def test_a_lock_that_cannot_be_had_is_the_starters_error(stage: Stage) -> None:
    stage.backups.lock_path.mkdir(parents=True)
    with pytest.raises(StartFailed, match=r"could not be started: .*litestream\.lock"), stage.running():
        pass


def test_trouble_at_a_later_start_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with stage.running() as replicator:
        popen, refused = replicator._popen, []

        def refuse_once(lock: int) -> Any:
            if refused:
                return popen(lock)
            refused.append(lock)
            raise BlockingIOError("no more processes")

        monkeypatch.setattr(replicator, "_popen", refuse_once)
        replicator._first_delay = 0.1
        first = replicator.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        eventually(lambda: bool(refused) and replicator.state is State.RUNNING, timeout=20)


def test_a_missing_program_is_said_before_anything_starts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTREAM_BIN", "/nowhere/litestream")
    with pytest.raises(ExecutableNotFound, match="/nowhere/litestream"), stage.running():
        pass
    assert not is_locked(stage.backups.lock_path)


def test_one_that_does_not_answer_in_time_is_ended_and_said(make_stage: Callable[..., Stage], folder: Path) -> None:
    stage = make_stage(LITESTREAM_START_TIMEOUT=0.5)
    stage.backups.settings.places.socket.mkdir(parents=True)  # in the way of the socket
    with pytest.raises(StartFailed, match=r"did not answer within 0\.5 s: .*socket"), stage.running():
        pass
    assert not is_locked(stage.backups.lock_path)


def test_without_a_socket_of_its_own_file_it_still_starts(make_stage: Callable[..., Stage], folder: Path) -> None:
    path = own_file(folder)
    path.write_text(path.read_text().replace("enabled: true", "enabled: false"))
    stage = make_stage(LITESTREAM_CONFIG_PATH=str(path))
    stage.create()
    with stage.running() as replicator:
        assert replicator.state is State.RUNNING
        assert stage.verify().ok
        status = stage.flask("status")
        assert (status.exit_code, "Litestream runs, and cannot be asked" in status.stdout) == (0, True)
    assert stage.flask("status").exit_code == 1
    assert not is_locked(stage.backups.lock_path)


# --- several starters ---


def test_the_second_starter_stands_by_and_takes_over(stage: Stage) -> None:
    with stage.running():
        first = stage.daemon_pid()
        second = stage.backups.replicator()
        second.start()
        try:
            assert second.state is State.STANDBY
            assert second.pid is None
            assert stage.daemon_pid() == first
        except BaseException:
            second.stop()
            raise
    try:
        assert has_ended(first)
        eventually(lambda: other_pid(stage, first))
        eventually(lambda: second.state is State.RUNNING)
    finally:
        second.stop()
    assert not is_locked(stage.backups.lock_path)


def test_a_litestream_that_somebody_started_by_hand_is_respected(stage: Stage) -> None:
    stage.backups.configuration.write()
    line, environment = stage.backups.commands.line("replicate"), stage.backups.configuration.environment()
    with process(line, env=environment) as by_hand:
        eventually(stage.backups.is_running)
        replicator = stage.backups.replicator()
        replicator.start()
        try:
            assert replicator.state is State.STANDBY
            assert stage.daemon_pid() == by_hand.pid
        finally:
            replicator.stop()
        assert by_hand.poll() is None
        by_hand.send_signal(signal.SIGTERM)
        by_hand.wait(10)


def test_a_lock_lives_as_long_as_its_last_holder(folder: Path) -> None:
    path = folder / "some.lock"
    handle = try_lock(path)
    assert handle is not None
    assert try_lock(path) is None
    with process(["sleep", "60"], pass_fds=[handle]) as child:
        release(handle)
        assert is_locked(path)
        child.kill()
        child.wait()
        eventually(lambda: not is_locked(path))


FORK = """
import os, sys, time
from pathlib import Path
from flask_litestream.files import release, try_lock
handle = try_lock(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    time.sleep(60)
release(handle)
print(child, flush=True)
time.sleep(60)
"""


def test_a_worker_forked_in_the_moment_of_a_start_does_not_keep_the_lock(folder: Path) -> None:
    path = folder / "some.lock"
    with process([sys.executable, "-c", FORK, str(path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        try:
            assert not has_ended(worker)
            eventually(lambda: not is_locked(path), timeout=2)
        finally:
            os.kill(worker, signal.SIGKILL)


# --- what it writes ---


def test_what_litestream_writes_is_in_the_applications_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "flask_litestream"), stage.running():
        stage.wait_until_synced()
    said = [record.message for record in caplog.records if record.name == "flask_litestream.daemon"]
    assert any(text.startswith("initialized db path=") for text in said)
    assert any(text.startswith("litestream shut down") for text in said)


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ('{"time":"t","level":"ERROR","msg":"sync error","db":"x"}\n', logging.ERROR, "sync error db=x"),
        ('{"time":"t","level":"WARN","msg":"careful"}', logging.WARNING, "careful"),
        ('time=t level=ERROR msg="sync error"\n', logging.ERROR, 'time=t level=ERROR msg="sync error"'),
        ("Error: config file not found\n", logging.ERROR, "Error: config file not found"),
        ("something else\n", logging.INFO, "something else"),
        ("[]\n", logging.INFO, "[]"),
    ],
)
def test_a_line_keeps_its_level(line: str, level: int, text: str) -> None:
    assert parse_line(line) == (level, text)


@pytest.mark.parametrize(
    ("version", "warned"), [((3, 40, 1), True), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 53, 0), False)]
)
def test_an_sqlite_with_the_wal_reset_bug_is_warned_of(
    caplog: pytest.LogCaptureFixture, version: tuple[int, int, int], warned: bool
) -> None:
    warn_of_old_sqlite(version)
    assert ("Upgrade SQLite when you can" in caplog.text) is warned


# --- the configuration ---


def test_the_generated_file_is_written_before_it_starts_and_private(stage: Stage) -> None:
    with stage.running():
        path = stage.backups.configuration.path
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_disabled_application_with_nothing_set_says_what_is_missing_when_asked(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(LITESTREAM_ENABLED=False, LITESTREAM_REPLICA=None)
    with pytest.raises(ConfigurationError, match="no replica for primary, queue: set LITESTREAM_REPLICA"):
        _ = stage.backups.configuration


# --- pieces of these tests ---


class replicating:
    """`stage.running()` with a replicator of other manners."""

    def __init__(self, stage: Stage, *, first_delay: float = 1.0, stop_everything: Callable[[], None] | None = None) -> None:
        backups = stage.backups
        self.replicator = Replicator(
            backups.settings, backups.commands, backups.lock_path, stop_everything=stop_everything, first_delay=first_delay
        )

    def __enter__(self) -> Replicator:
        self.replicator.start()
        return self.replicator

    def __exit__(self, *_: object) -> None:
        self.replicator.stop()


def other_pid(stage: Stage, than: int) -> int:
    """The running Litestream's pid if it is another, else 0."""
    pid = stage.daemon_pid() if stage.backups.settings.places.socket.exists() and answers(stage) else than
    return pid if pid != than else 0


def answers(stage: Stage) -> bool:
    try:
        return bool(stage.daemon_pid())
    except Exception:
        return False
