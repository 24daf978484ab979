"""Every way a backup can be broken is found, its fault-free twin passes, and nothing is left behind either way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from flask_litestream import Verification
from flask_litestream.commands import Commands
from flask_litestream.files import release, try_lock
from flask_litestream.verification import TABLE, Verifier, has_row, remove_abandoned, written_row

from ..harness.waiting import eventually, never
from .stage import Stage, connected, own_file, writer


@pytest.fixture(autouse=True)
def nothing_left_behind(stage: Stage) -> Iterator[None]:
    yield
    assert stage.left_behind() == []


def test_a_good_backup_is_proved(live: Stage) -> None:
    result = live.verify()
    assert (result.ok, result.reason) == (True, None)
    assert result.database == "primary"
    assert result.txid is not None
    assert result.restore_duration is not None
    assert result.sync_duration is not None
    assert result.lag is not None
    assert result.lag < 5


def test_the_queue_database_is_proved_too(live: Stage) -> None:
    assert live.verify("queue").ok


def test_a_second_verification_passes_like_the_first(live: Stage) -> None:
    first, second = live.verify(), live.verify()
    assert first.ok
    assert second.ok
    assert second.started_at > first.started_at


def test_the_result_cannot_be_changed(live: Stage) -> None:
    with pytest.raises(AttributeError):
        live.verify().reason = "nothing"  # type: ignore[misc]


# --- Litestream itself ---


def test_a_litestream_that_was_never_started_is_found(stage: Stage) -> None:
    result = stage.verify()
    assert result.reason == "daemon_unreachable"
    assert "flask litestream replicate" in result.message


def test_a_killed_litestream_is_found(live: Stage) -> None:
    with Killed(live):
        result = live.verify()
    assert result.reason == "daemon_unreachable"


class Killed:
    """Litestream killed, and its lock held so that nobody starts it again before the block ends."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.lock: int | None = None

    def __enter__(self) -> None:
        os.kill(self.stage.daemon_pid(), signal.SIGKILL)
        self.lock = eventually(lambda: try_lock(self.stage.backups.lock_path), timeout=0.9)  # before it is started again

    def __exit__(self, *_: object) -> None:
        assert self.lock is not None
        release(self.lock)


def test_after_a_restart_it_passes_again_with_the_rows_of_the_gap(live: Stage) -> None:
    with Killed(live):
        live.write("primary", "while nobody replicates")
    eventually(live.backups.is_running)
    eventually(lambda: live.verify().ok)
    restored = live.backups.restore_to_new_file("primary").path
    assert live.rows(restored) == [1, 2]


def test_a_stale_socket_file_does_not_matter(stage: Stage) -> None:
    leftover = stage.backups.settings.places.socket
    leftover.parent.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(leftover))
    assert leftover.is_socket()
    with stage.running():
        assert stage.verify().ok


# --- the replica ---


def break_by_deleting(stage: Stage) -> None:
    shutil.rmtree(stage.replica("primary"))


def break_by_flipping_a_byte(stage: Stage) -> None:
    damage(stage.replica_files("primary", "9")[-1], lambda data: flipped(data))


def break_by_truncating(stage: Stage) -> None:
    damage(stage.replica_files("primary", "9")[-1], lambda data: data[: len(data) // 2])


def break_by_emptying(stage: Stage) -> None:
    damage(stage.replica_files("primary", "9")[-1], lambda data: b"")


def break_by_damaging_the_header(stage: Stage) -> None:
    damage(stage.replica_files("primary", "9")[-1], lambda data: b"XXXX" + data[4:])


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "break_it",
    [
        break_by_deleting,
        break_by_flipping_a_byte,
        break_by_truncating,
        break_by_emptying,
        break_by_damaging_the_header,
    ],
)
def test_a_broken_replica_is_found_although_litestream_runs_and_syncs(live: Stage, break_it: Callable[[Stage], None]) -> None:
    eventually(lambda: live.replica_files("primary", "9"))
    assert live.verify().ok
    break_it(live)
    result = live.verify()
    assert result.reason == "restore_failed"
    assert result.sync_duration is not None, "the sync reported success"
    assert result.last_success_at is not None
    assert result.last_success_at < result.started_at
    assert live.verify("queue").ok, "the other database's backup is whole"


@pytest.fixture
def uncompacted(make_stage: Callable[..., Stage], stage: Stage, folder: Path) -> Iterator[Stage]:
    """A running Litestream that merges no files, so that a missing one is missing; with the user's own YAML."""
    own = make_stage(LITESTREAM_CONFIG_PATH=str(own_file(folder, "levels: [{interval: 24h}]")))
    with own.running():
        own.wait_until_synced()
        yield own


def test_a_gap_in_the_replica_is_found(uncompacted: Stage) -> None:
    for _ in range(3):
        uncompacted.write("primary")
        uncompacted.wait_until_synced("primary")
    assert uncompacted.verify().ok
    uncompacted.replica_files("primary", "0")[-2].unlink()
    result = uncompacted.verify()
    assert result.reason == "restore_failed"
    assert "non-contiguous" in result.message


def test_a_replica_that_lost_its_newest_file_is_found_although_it_restores(uncompacted: Stage) -> None:
    """The restore succeeds with stale data, and Litestream says nothing: only the missing row tells."""
    assert uncompacted.verify().ok
    with Losing(uncompacted):
        result = uncompacted.verify()
    assert result.reason == "row_missing"
    assert result.restore_duration is not None, "the restore reported success"


class Losing:
    """A verification whose newest replica file disappears between the sync and the restore."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __enter__(self) -> None:
        commands = self.stage.backups.commands
        restore = commands.restore

        def restore_without_newest(*args: object, **options: object) -> object:
            self.stage.replica_files("primary", "0")[-1].unlink()
            return restore(*args, **options)  # type: ignore[arg-type]

        commands.restore = restore_without_newest  # type: ignore[method-assign, assignment]

    def __exit__(self, *_: object) -> None:
        del self.stage.backups.commands.restore  # type: ignore[method-assign]


def test_a_database_deleted_and_made_anew_under_a_running_litestream_is_found(live: Stage) -> None:
    for path in live.folder.glob("primary.sqlite3*"):
        path.unlink()
    live.create("primary")
    result = live.verify()
    assert result.reason in ("sync_failed", "row_missing", "restore_failed")


def test_a_restart_heals_a_database_made_anew(stage: Stage) -> None:
    with stage.running():
        stage.wait_until_synced()
        for path in stage.folder.glob("primary.sqlite3*"):
            path.unlink()
        stage.create("primary")
    with stage.running():
        assert stage.verify().ok


# --- the database ---


def test_a_database_file_that_is_not_there_is_found(live: Stage) -> None:
    for path in live.folder.glob("queue.sqlite3*"):
        path.unlink()
    result = live.verify("queue")
    assert result.reason == "database_missing"
    assert not live.path("queue").exists(), "looking for it must not make it"


def test_a_writer_who_holds_the_database_is_waited_for(live: Stage) -> None:
    with connected(live.path("primary")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        results: list[Verification] = []
        thread = threading.Thread(target=lambda: results.append(live.verify()))
        thread.start()
        never(lambda: results, during=0.3)
        connection.execute("COMMIT")
        thread.join()
    assert results[0].ok


def test_a_writer_who_never_lets_go_makes_it_fail_in_time(make_stage: Callable[..., Stage], stage: Stage) -> None:
    impatient = make_stage(LITESTREAM_VERIFY_WAIT=0.3)
    with impatient.running(), connected(stage.path("primary")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        result = impatient.verify()
        connection.execute("ROLLBACK")
    assert result.reason == "database_busy"
    assert result.duration < 3


def test_a_row_that_cannot_be_written_for_another_reason_is_no_lock(live: Stage) -> None:
    with connected(live.path("primary")) as connection:
        connection.execute("CREATE TABLE _litestream_verification (id INTEGER PRIMARY KEY, token, created_at)")
        connection.execute(
            "CREATE TRIGGER no_more BEFORE INSERT ON _litestream_verification BEGIN SELECT RAISE(ABORT, 'no more'); END"
        )
    result = live.verify()
    assert (result.reason, result.message) == ("cannot_run", "No row could be written: no more.")


def test_a_lock_at_the_end_does_not_spoil_a_proof(live: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row stays then; the next verification that finds it old enough sweeps it up."""
    monkeypatch.setattr("flask_litestream.verification.DELETE_WAIT", 0.1)
    restore = live.backups.commands.restore
    holder = sqlite3.connect(live.path("primary"), isolation_level=None)

    def restore_then_lock(*args: object, **options: object) -> object:
        summary = restore(*args, **options)  # type: ignore[arg-type]
        holder.execute("BEGIN IMMEDIATE")
        return summary

    monkeypatch.setattr(live.backups.commands, "restore", restore_then_lock)
    result = live.verify()
    holder.execute("ROLLBACK")
    holder.close()
    monkeypatch.undo()
    assert result.ok
    assert len(live.left_behind()) == 1
    with connected(live.path("primary")) as connection:
        connection.execute(f"UPDATE {TABLE} SET created_at = 0")
    assert live.verify().ok
    assert live.left_behind() == []


# --- time and space ---


def sleeping_restore(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A litestream whose restore writes for ever, as with an S3 that does not answer."""
    real = stage.backups.commands.executable
    script = stage.folder / "slow-litestream"
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = restore ] || exec {real} "$@"\n'
        'while [ "$1" != "-o" ]; do shift; done\n'
        'echo half > "$2.tmp"\nexec sleep 60\n'
    )
    script.chmod(0o700)
    monkeypatch.setattr(stage.backups, "commands", Commands(stage.backups.configuration, script), raising=False)


def test_a_restore_that_hangs_is_killed_and_leaves_no_files(
    make_stage: Callable[..., Stage], stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = make_stage(LITESTREAM_RESTORE_TIMEOUT=0.5)
    with impatient.running():
        sleeping_restore(impatient, monkeypatch)
        result = impatient.verify()
    assert result.reason == "restore_timeout"
    assert result.duration < 5
    assert impatient.left_behind() == []


def test_a_restore_to_a_new_file_that_hangs_leaves_no_files(
    make_stage: Callable[..., Stage], stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = make_stage(LITESTREAM_RESTORE_TIMEOUT=0.5)
    with impatient.running():
        sleeping_restore(impatient, monkeypatch)
        with pytest.raises(Exception, match=r"did not end within 0\.5 s"):
            impatient.backups.restore_to_new_file("primary")
    assert list(impatient.backups.restored_directory.iterdir()) == []


def test_no_restore_is_begun_without_room_for_it(live: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(live.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    result = live.verify()
    assert result.reason == "no_space"
    assert result.restore_duration is None


def test_folders_of_killed_verifications_are_removed_once_they_are_old(stage: Stage) -> None:
    directory = stage.backups.directory
    for name, age in (("verify-old", 200_000), ("verify-new", 10)):
        (directory / name).mkdir(parents=True)
        moment = (directory / name).stat().st_mtime - age
        os.utime(directory / name, (moment, moment))
    remove_abandoned(directory)
    assert [path.name for path in directory.glob("verify-*")] == ["verify-new"]
    (directory / "verify-new").rmdir()


def test_the_restored_copy_is_for_nobody_elses_eyes(live: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    restore = live.backups.commands.restore

    def looking(database: Path, target: object, **options: object) -> object:
        summary = restore(database, target, **options)  # type: ignore[arg-type]
        copy = target.output  # type: ignore[attr-defined]
        seen.extend([copy.stat().st_mode & 0o077, copy.parent.stat().st_mode & 0o077])
        return summary

    monkeypatch.setattr(live.backups.commands, "restore", looking)
    assert live.verify().ok
    assert seen == [0, 0]


# --- without a control socket ---


def test_without_a_socket_the_row_is_waited_for(live: Stage) -> None:
    deaf = live.backups.control.__class__(None)
    verifier = Verifier(live.backups.commands, deaf, live.backups.settings.timeouts, live.backups.directory)
    result = verifier.verify(live.backups.database("primary"))
    assert result.ok
    assert result.sync_duration is not None


def test_without_a_socket_and_without_litestream_it_fails_in_time(live: Stage) -> None:
    timeouts = replace(live.backups.settings.timeouts, verify_wait=0.5)
    verifier = Verifier(live.backups.commands, live.backups.control.__class__(None), timeouts, live.backups.directory)
    with Killed(live):
        result = verifier.verify(live.backups.database("primary"))
    assert result.reason == "row_missing"
    assert "0.5 s before" in result.message


# --- the pieces ---


def test_a_restored_file_that_is_no_database_counts_as_damaged(folder: Path) -> None:
    broken = folder / "broken.sqlite3"
    broken.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(Exception, match="cannot be read") as caught:
        has_row(broken, "token")
    assert caught.value.reason == "integrity"  # type: ignore[attr-defined]


def test_a_copy_older_than_the_table_does_not_have_the_row(stage: Stage) -> None:
    assert has_row(stage.path("primary"), "token") is False


def test_the_row_is_there_during_the_block_and_gone_afterwards(stage: Stage) -> None:
    with written_row(stage.path("primary"), 1) as token:
        assert len(token) == 32
        assert stage.left_behind() == [token]
    assert stage.left_behind() == []


def test_the_row_is_gone_after_an_error_too(stage: Stage) -> None:
    with pytest.raises(RuntimeError), written_row(stage.path("primary"), 1):
        raise RuntimeError
    assert stage.left_behind() == []


# --- under load ---


def test_nothing_is_lost_while_two_hundred_rows_a_second_are_written(live: Stage) -> None:
    with writer(live.path("primary"), 200) as primary, writer(live.path("queue"), 200) as queue:
        eventually(lambda: len(primary) > 200 and len(queue) > 200)
        before = {"primary": list(primary), "queue": list(queue)}
        results = live.backups.verify_all()
        eventually(lambda: len(primary) > 400)
    assert [result.reason for result in results] == [None, None]
    live.wait_until_synced()
    for name, committed in (("primary", primary), ("queue", queue)):
        restored = live.rows(live.backups.restore_to_new_file(name).path)
        assert set(before[name]) <= set(restored)
        assert restored == [1, *committed], "every row, in order, none lost"


def test_nothing_is_lost_when_litestream_is_killed_while_rows_are_written(live: Stage) -> None:
    with writer(live.path("primary"), 200) as committed:
        eventually(lambda: len(committed) > 50)
        with Killed(live):
            eventually(lambda: len(committed) > 150)
        eventually(live.backups.is_running)
        eventually(lambda: len(committed) > 200)
    eventually(lambda: live.verify().ok)
    assert live.rows(live.backups.restore_to_new_file("primary").path) == [1, *committed]


# --- what docs/litestream.md advises when something is wrong ---


def lose_the_middle(stage: Stage) -> None:
    stage.replica_files("primary", "0")[-2].unlink()


def lose_the_newest(stage: Stage) -> None:
    stage.replica_files("primary", "0")[-1].unlink()


def damage_everything(stage: Stage) -> None:
    for path in stage.replica_files("primary"):
        damage(path, flipped)


@pytest.mark.parametrize("break_it", [break_by_deleting, lose_the_middle, lose_the_newest, damage_everything])
def test_a_forced_snapshot_heals_every_broken_replica(
    make_stage: Callable[..., Stage], stage: Stage, folder: Path, root: Path, break_it: Callable[[Stage], None]
) -> None:
    own = make_stage(LITESTREAM_CONFIG_PATH=str(own_file(folder, "levels: [{interval: 24h}]")))
    with own.running():
        own.wait_until_synced()
        for _ in range(3):
            own.write("primary")
            own.wait_until_synced("primary")
        break_it(own)
        assert not own.verify().ok
    subprocess.run(
        own.command("replicate", "--once", "--force-snapshot"), cwd=root, check=True, capture_output=True, timeout=30
    )
    with own.running():
        assert own.verify().ok
    assert own.rows(own.backups.restore_to_new_file("primary").path) == [1, 2, 3, 4]
