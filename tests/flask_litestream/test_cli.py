"""`flask litestream …`: by database name, with Litestream's exit codes, --json, and a sentence instead of a traceback."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from flask_litestream.errors import StartFailed

from ..harness.waiting import eventually
from .stage import Stage, connected, process

COMMANDS = "config databases env ltx replicate reset restore snapshots status sync verify".split()  # noqa: SIM905


def test_the_group_lists_its_commands_and_a_first_round(stage: Stage) -> None:
    shown = stage.flask("--help").output
    assert [command for command in COMMANDS if f"\n  {command} " not in shown] == []
    assert "flask litestream verify       prove that a restore brings everything back" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches(stage: Stage, command: str) -> None:
    ended = stage.flask(command, "--help")
    assert ended.exit_code == 0
    assert len(ended.output) > 300


# --- settings ---


def test_config_shows_what_litestream_is_told(stage: Stage) -> None:
    ended = stage.flask("config")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["dbs"][0]["path"] == str(stage.path("primary"))
    assert ended.stderr == f"# {stage.backups.configuration.path}\n"
    assert json.loads(stage.flask("config", "--json").stdout)["text"] == ended.stdout


def test_config_shows_no_secret_and_env_only_when_asked(
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITESTREAM_ACCESS_KEY_ID", "from the environment")
    stage = make_stage(LITESTREAM_REPLICA={"type": "sftp", "host": "h", "user": "u", "password": "it's hush"})
    assert "hush" not in stage.flask("config").output
    masked = stage.flask("env").stdout
    assert "LITESTREAM_SECRET_PRIMARY_PASSWORD=…" in masked
    assert "LITESTREAM_ACCESS_KEY_ID=…" in masked
    assert "hush" not in masked + stage.flask("env", "--json").stdout
    revealed = stage.flask("env", "--reveal").stdout
    shell = subprocess.run(
        ["sh", "-c", f"{revealed}\nprintenv LITESTREAM_SECRET_PRIMARY_PASSWORD"], capture_output=True, text=True
    )
    assert shell.stdout == "it's hush\n"


def test_databases_lists_names_files_and_replicas(stage: Stage) -> None:
    lines = stage.flask("databases").stdout.splitlines()
    assert lines[0].split() == ["name", "path", "replica"]
    assert lines[1].split() == ["primary", str(stage.path("primary")), str(stage.replica("primary"))]
    assert json.loads(stage.flask("databases", "--json").stdout)[1]["name"] == "queue"


def test_switched_off_every_command_but_replicate_explains_itself_and_works(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(LITESTREAM_ENABLED=False)
    stage.create()
    for command in ("config", "env", "databases", "status"):
        ended = stage.flask(command)
        assert ended.exit_code == 0
        assert "Litestream is switched off here (LITESTREAM_ENABLED is false)." in ended.stderr
    ended = stage.flask("replicate")
    assert (ended.exit_code, ended.stderr) == (
        1,
        "Error: Litestream is switched off. Set LITESTREAM_ENABLED to true to replicate.\n",
    )


def test_with_nothing_set_each_command_says_what_to_set(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(LITESTREAM_ENABLED=False, LITESTREAM_REPLICA=None)
    for command in (["config"], ["databases"], ["status"], ["verify"], ["sync"], ["restore", "primary"], ["ltx", "primary"]):
        ended = stage.flask(*command)
        assert ended.exit_code == 1
        assert "There is no replica for primary, queue: set LITESTREAM_REPLICA" in ended.stderr
        assert "Traceback" not in ended.output


def test_wrong_settings_are_a_message_and_no_traceback(folder: Path, root: Path) -> None:
    program = folder / "program.py"
    program.write_text(
        "from pathlib import Path\nfrom flask_sqlalchemy import SQLAlchemy\nfrom flask_litestream import FlaskLitestream\n"
        "from tests.flask_litestream.stage import make_app\n"
        f"def create_app():\n    return make_app(Path({str(folder)!r}), SQLAlchemy(), FlaskLitestream(), None,"
        " LITESTREAM_ON_EXIT='explode', LITESTREAM_STOP_TIMEOUT=-1)\n"
    )
    flask = Path(sys.executable).with_name("flask")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(
        [flask, "--app", str(program), "litestream", "status"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "LITESTREAM_ON_EXIT must be" in ended.stderr
    assert "LITESTREAM_STOP_TIMEOUT must be" in ended.stderr
    assert "Traceback" not in ended.stderr


# --- state ---


def test_status_of_a_running_litestream(live: Stage) -> None:
    ended = live.flask("status")
    assert ended.exit_code == 0
    assert ended.stdout.startswith(f"Litestream 0.5.17 runs (pid {live.daemon_pid()}")
    shown = json.loads(live.flask("status", "--json").stdout)
    assert shown["daemon"]["pid"] == live.daemon_pid()
    assert [one["status"] for one in shown["databases"]] == ["replicating", "replicating"]
    assert [one["verified"] for one in shown["databases"]] == ["never", "never"]
    live.verify()
    assert "proved" in live.flask("status").stdout


def test_status_of_a_dead_litestream_exits_with_one_although_litestreams_own_does_not(stage: Stage) -> None:
    assert stage.backups.commands.status(), "litestream status itself sees nothing wrong"
    ended = stage.flask("status")
    assert ended.exit_code == 1
    assert "Litestream does not run: nothing is being replicated" in ended.stdout


def test_snapshots_and_ltx(live: Stage) -> None:
    eventually(lambda: live.replica_files("primary", "9"))
    snapshots = json.loads(live.flask("snapshots", "primary", "--json").stdout)
    assert {one["level"] for one in snapshots} == {9}
    everything = json.loads(live.flask("ltx", "primary", "--json").stdout)
    assert {one["level"] for one in everything} >= {0, 9}
    assert live.flask("ltx", "primary", "--level", "0").stdout.splitlines()[0].split()[0] == "level"


def test_a_name_that_is_none_is_told_the_names(stage: Stage) -> None:
    for command in ("snapshots", "ltx", "sync", "restore", "verify", "reset"):
        ended = stage.flask(command, "nope")
        assert ended.exit_code == 1
        assert ended.stderr.endswith("Error: There is no database called nope. There are: primary, queue.\n")


# --- replicate, sync, reset ---


def test_replicate_becomes_litestream(root: Path, stage: Stage) -> None:
    line = stage.command("replicate")
    with process(line, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        eventually(lambda: stage.backups.is_running() and stage.backups.settings.places.socket.exists())
        assert stage.backups.outcomes.watched_since() is not None  # that nobody ever verifies is to be missed
        eventually(lambda: stage.verify().ok)
        assert stage.daemon_pid() == started.pid
        assert not any(path.stat().st_mode & 0o077 for path in (stage.folder / "backup").rglob("*"))
        second = stage.flask("replicate")
        assert (second.exit_code, second.stderr) == (
            1,
            "Error: Litestream already runs for this application. Stop it first, or leave it alone.\n",
        )
        started.send_signal(signal.SIGTERM)
        assert started.wait(10) == 0


def test_a_forced_snapshot_is_for_once_only(stage: Stage) -> None:
    ended = stage.flask("replicate", "--force-snapshot")
    assert (ended.exit_code, "goes with --once" in ended.stderr) == (2, True)


def test_replicate_once_copies_and_ends(root: Path, stage: Stage) -> None:
    line = stage.command("replicate", "--once")
    assert subprocess.run(line, cwd=root, capture_output=True, timeout=30).returncode == 0
    assert stage.rows(stage.backups.restore_to_new_file("primary").path) == [1]


def test_replicate_passes_litestreams_exit_code_on(root: Path, stage: Stage) -> None:
    (stage.folder / "backup").write_text("a file in the place of the folder")
    line = stage.command("replicate", "--once")
    assert subprocess.run(line, cwd=root, capture_output=True, timeout=30).returncode == 1


def test_sync_waits_until_the_replica_has_it(live: Stage) -> None:
    live.write("primary")
    ended = live.flask("sync", "--json")
    assert ended.exit_code == 0
    shown = json.loads(ended.stdout)
    assert [one["name"] for one in shown] == ["primary", "queue"]
    assert all(one["txid"] == one["replicated_txid"] for one in shown)
    assert [one["name"] for one in json.loads(live.flask("sync", "queue", "--json").stdout)] == ["queue"]


def test_sync_without_litestream_says_so(stage: Stage) -> None:
    ended = stage.flask("sync", "primary")
    assert ended.exit_code == 1
    assert "Litestream does not answer: nothing is being replicated." in ended.stderr


@pytest.mark.parametrize("timeout", ["nan", "inf", "0", "1e300"])
def test_sync_waits_for_a_number_of_seconds_only(stage: Stage, timeout: str) -> None:
    ended = stage.flask("sync", "--timeout", timeout)
    assert ended.exit_code == 2
    assert "'--timeout'" in ended.stderr


def test_reset_forgets_local_state_and_is_refused_while_litestream_runs(stage: Stage) -> None:
    state = stage.folder / ".primary.sqlite3-litestream"
    with stage.running():
        stage.wait_until_synced()
        refused = stage.flask("reset", "primary")
        assert refused.exit_code == 1
        assert "already runs" in refused.stderr
        assert "Would remove" in stage.flask("reset", "primary", "--dry-run").stdout
    assert list(state.rglob("*.ltx"))
    assert stage.flask("reset", "primary").exit_code == 0
    assert list(state.rglob("*.ltx")) == []
    with stage.running():
        assert stage.verify().ok


# --- restore ---


@pytest.fixture
def backed_up(stage: Stage) -> Stage:
    """Two rows in the replica of each database; Litestream does not run."""
    with stage.running():
        stage.write("primary")
        stage.write("queue")
        stage.wait_until_synced()
    return stage


def test_restore_brings_a_lost_database_back_where_it_was(backed_up: Stage) -> None:
    for path in backed_up.folder.glob("primary.sqlite3*"):
        path.unlink()
    ended = backed_up.flask("restore", "primary")
    assert ended.exit_code == 0
    assert ended.stdout.startswith(f"primary was restored to {backed_up.path('primary')}, transaction ")
    assert backed_up.rows(backed_up.path("primary")) == [1, 2]
    with backed_up.running():
        assert backed_up.verify().ok, "what Litestream kept of the lost file does not confuse it"


def test_restore_never_overwrites_unless_forced(backed_up: Stage) -> None:
    backed_up.write("primary", "not in the replica")
    ended = backed_up.flask("restore", "primary")
    assert ended.exit_code == 1
    assert "output path already exists and is not empty" in ended.stderr
    assert backed_up.rows(backed_up.path("primary")) == [1, 2, 3]
    assert backed_up.flask("restore", "primary", "--force").exit_code == 0
    assert backed_up.rows(backed_up.path("primary")) == [1, 2]
    with backed_up.running():
        assert backed_up.verify().ok


@pytest.mark.parametrize("options", [[], ["--if-replica-exists"]])
def test_a_forced_restore_that_finds_no_backup_leaves_the_database_alone(backed_up: Stage, options: list[str]) -> None:
    shutil.rmtree(backed_up.replica("primary"))
    backed_up.flask("restore", "primary", "--force", *options)
    assert backed_up.rows(backed_up.path("primary")) == [1, 2]
    assert list(backed_up.folder.glob(".restore-*")) == []


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_restore_over_what_is_no_file_is_refused(backed_up: Stage, options: list[str]) -> None:
    pipe = backed_up.folder / "pipe"
    os.mkfifo(pipe)
    ended = backed_up.flask("restore", "primary", "-o", str(pipe), *options)
    assert (ended.exit_code, pipe.is_fifo()) == (1, True)
    assert ended.stderr == f"Error: {pipe} is there and no file. Nothing was restored.\n"


def test_restore_over_another_database_is_refused_while_litestream_runs(live: Stage) -> None:
    ended = live.flask("restore", "primary", "--force", "-o", str(live.path("queue")))
    assert ended.exit_code == 1
    assert "Stop it, and all that uses it, first." in ended.stderr


def test_after_going_back_in_time_replication_goes_on_from_there(stage: Stage) -> None:
    """Litestream sees by itself that the file is another; the replica's later transactions do not come back."""
    with stage.running():
        stage.wait_until_synced()
        first = stage.backups.sync("primary").txid
        for _ in range(3):
            stage.write("primary", "to be undone")
            stage.wait_until_synced("primary")
    assert stage.flask("restore", "primary", "--force", "--txid", f"{first:016x}").exit_code == 0
    assert stage.rows(stage.path("primary")) == [1]
    stage.write("primary", "instead")
    with stage.running():
        assert stage.verify().ok
    assert stage.rows(stage.backups.restore_to_new_file("primary").path) == [1, 2]


def test_restore_over_the_live_database_is_refused_while_litestream_runs(live: Stage) -> None:
    ended = live.flask("restore", "primary", "--force")
    assert ended.exit_code == 1
    assert "Stop it, and all that uses it, first." in ended.stderr


def test_restore_of_a_lost_file_is_refused_while_litestream_runs(live: Stage) -> None:
    """It would go on with the file that is gone, and replicate nothing of the new one."""
    live.wait_until_synced()
    live.path("primary").unlink()
    ended = live.flask("restore", "primary")
    assert (ended.exit_code, live.path("primary").exists()) == (1, False)
    assert "Stop it, and all that uses it, first." in ended.stderr
    assert live.flask("restore", "primary", "--dry-run").exit_code == 0


@pytest.mark.parametrize("options", [[], ["--txid", "0000000000000001"]])
def test_what_a_lost_database_left_is_not_put_into_the_restored_one(backed_up: Stage, options: list[str]) -> None:
    with closing(sqlite3.connect(backed_up.path("primary"))) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        for _ in range(3):
            connection.execute("INSERT INTO entries (text) VALUES ('only in the WAL')")
        connection.commit()
        wal = backed_up.path("primary").with_name("primary.sqlite3-wal")
        left = wal.read_bytes()
    assert left
    for path in backed_up.folder.glob("primary.sqlite3*"):
        path.unlink()
    wal.write_bytes(left)  # as after a kill

    ended = backed_up.flask("restore", "primary", *options)
    assert (ended.exit_code, backed_up.path("primary").exists()) == (1, False)
    assert "primary.sqlite3-wal of it is there" in ended.stderr
    assert wal.read_bytes() == left
    assert backed_up.flask("restore", "primary", "--force").exit_code == 0
    assert backed_up.rows(backed_up.path("primary")) == [1, 2]


def test_restore_to_another_file(backed_up: Stage) -> None:
    copy = backed_up.folder / "new" / "copy.sqlite3"
    ended = backed_up.flask("restore", "queue", "-o", str(copy), "--json")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["db_path"] == str(copy)
    assert backed_up.rows(copy) == [1, 2]
    assert copy.stat().st_mode & 0o077 == 0


def test_restore_to_a_moment_or_a_transaction(stage: Stage) -> None:
    with stage.running():
        stage.wait_until_synced()
        first = stage.backups.sync("primary").txid
        stage.write("primary")
        stage.wait_until_synced()
    earlier, later = stage.folder / "earlier.sqlite3", stage.folder / "later.sqlite3"
    assert stage.flask("restore", "primary", "-o", str(earlier), "--txid", f"{first:016x}").exit_code == 0
    assert stage.rows(earlier) == [1]
    assert stage.flask("restore", "primary", "-o", str(later), "--timestamp", "2999-01-01 00:00").exit_code == 0
    assert stage.rows(later) == [1, 2]
    too_early = stage.flask("restore", "primary", "-o", str(stage.folder / "x"), "--timestamp", "2001-01-01T00:00:00Z")
    assert (too_early.exit_code, "no matching backup files available" in too_early.stderr) == (1, True)


def test_restore_says_what_is_wrong_with_a_moment(stage: Stage) -> None:
    ended = stage.flask("restore", "primary", "--timestamp", "yesterday")
    assert ended.exit_code == 2
    assert "must be a moment like 2026-11-24T03:41:00Z" in ended.stderr
    both = stage.flask("restore", "primary", "--timestamp", "2026-11-24", "--txid", "1")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)


def test_restore_dry_run_writes_nothing(backed_up: Stage) -> None:
    copy = backed_up.folder / "copy.sqlite3"
    ended = backed_up.flask("restore", "primary", "-o", str(copy), "--dry-run")
    assert ended.exit_code == 0
    assert f"primary would be restored to {copy}" in ended.stdout
    assert not copy.exists()


def test_restore_conditions_for_scripts(stage: Stage, backed_up: Stage) -> None:
    there = backed_up.flask("restore", "primary", "--if-db-not-exists")
    assert (there.exit_code, there.stdout.startswith("Nothing was restored")) == (0, True)
    assert backed_up.rows(backed_up.path("primary")) == [1, 2]
    shutil.rmtree(backed_up.folder / "backup")
    gone = backed_up.flask("restore", "primary", "-o", str(backed_up.folder / "x"), "--if-replica-exists")
    assert (gone.exit_code, gone.stdout.startswith("Nothing was restored")) == (0, True)


# --- verify ---


def test_verify_says_what_it_proved(live: Stage) -> None:
    ended = live.flask("verify")
    assert ended.exit_code == 0
    assert [line.split(":")[0] for line in ended.stdout.splitlines()] == ["primary", "queue"]
    assert "proved in" in ended.stdout
    shown = json.loads(live.flask("verify", "queue", "--json").stdout)
    assert [(one["database"], one["ok"], one["reason"]) for one in shown] == [("queue", True, None)]


def test_verify_checks_all_and_exits_with_one_if_any_is_bad(live: Stage) -> None:
    shutil.rmtree(live.replica("primary"))
    ended = live.flask("verify")
    assert ended.exit_code == 1
    assert "primary: FAILED after" in ended.stderr
    assert "(restore_failed): no matching backup files available" in ended.stderr
    assert "queue: proved" in ended.stdout
    assert [one["ok"] for one in json.loads(live.flask("verify", "--json").stdout)] == [False, True]


def test_a_folder_that_cannot_be_written_is_a_sentence(make_stage: Callable[..., Stage], folder: Path) -> None:
    (folder / "file").touch()
    stage = make_stage(LITESTREAM_DIRECTORY=str(folder / "file" / "below"))
    ended = stage.flask("config")
    assert ended.exit_code == 1
    assert "Not a directory" in ended.stderr
    assert "Traceback" not in ended.output


def test_a_full_disk_is_a_sentence(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, *_: Any, **__: Any) -> NoReturn:
        os.close(handle)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    ended = stage.flask("config")
    assert (ended.exit_code, list(stage.folder.glob("litestream/.*"))) == (1, [])
    assert f"No space left on device: '{stage.folder}/litestream/litestream.json'" in ended.stderr
    with pytest.raises(StartFailed, match="No space left on device"), stage.running():
        pass


def test_a_reader_who_has_enough_is_no_error(root: Path, stage: Stage) -> None:
    shell = f"{shlex.join(stage.command('databases', '--json'))} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], cwd=root, capture_output=True, text=True, timeout=30)
    assert "Broken pipe" not in ended.stderr


def test_a_database_restored_by_hand_keeps_its_integrity(backed_up: Stage) -> None:
    copy = backed_up.folder / "copy.sqlite3"
    backed_up.flask("restore", "primary", "-o", str(copy))
    with connected(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
