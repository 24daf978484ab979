"""The last verification of each database is kept, across restarts and processes, and missed when it is too old."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flask_litestream.outcomes import Outcomes, Verification

from .stage import Stage

NOW = datetime(2026, 11, 24, 3, 41, tzinfo=UTC)


def outcome(database: str = "primary", *, reason: str | None = None, at: datetime = NOW) -> Verification:
    return Verification(database, at, 0.5, reason, "it is said here", txid="000a")


@pytest.fixture
def outcomes(tmp_path: Path) -> Outcomes:
    return Outcomes(tmp_path / "state" / "verifications.json")


def test_nothing_is_known_before_the_first(outcomes: Outcomes) -> None:
    assert outcomes.all() == {}
    assert outcomes.watched_since() is None
    assert not outcomes.path.parent.exists(), "asking writes nothing"


def test_what_was_recorded_comes_back_equal(outcomes: Outcomes) -> None:
    kept = outcomes.record(outcome())
    assert Outcomes(outcomes.path).all() == {"primary": kept}


def test_the_last_success_outlives_failures(outcomes: Outcomes) -> None:
    outcomes.record(outcome())
    outcomes.record(outcome(reason="sync_failed", at=NOW + timedelta(days=1)))
    kept = outcomes.record(outcome(reason="sync_failed", at=NOW + timedelta(days=2)))
    assert (kept.ok, kept.last_success_at) == (False, NOW)


def test_each_database_has_its_own(outcomes: Outcomes) -> None:
    outcomes.record(outcome("primary", reason="integrity"))
    outcomes.record(outcome("queue"))
    assert [(name, one.ok) for name, one in outcomes.all().items()] == [("primary", False), ("queue", True)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"verifications": {}}', "null"])
def test_a_damaged_file_says_nothing_and_is_written_anew(outcomes: Outcomes, text: str) -> None:
    outcomes.path.parent.mkdir()
    outcomes.path.write_text(text)
    assert outcomes.all() == {}
    outcomes.record(outcome())
    assert list(outcomes.all()) == ["primary"]


def test_the_file_is_for_its_owner_alone(outcomes: Outcomes) -> None:
    outcomes.record(outcome())
    assert outcomes.path.stat().st_mode & 0o077 == 0


def test_processes_that_write_at_once_lose_nothing(outcomes: Outcomes) -> None:
    spawn = multiprocessing.get_context("spawn")
    started = [spawn.Process(target=record_many, args=(str(outcomes.path), number)) for number in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert len(outcomes.all()) == 3 * MANY
    assert [path.name for path in outcomes.path.parent.iterdir() if path.name.startswith(".")] == []


MANY = 30


def record_many(path: str, number: int) -> None:
    for each in range(MANY):
        Outcomes(Path(path)).record(outcome(f"database-{number}-{each}"))


# --- what a health check hears ---


def test_all_is_well_after_a_proof(live: Stage) -> None:
    live.backups.verify_all()
    assert live.backups.problems() == []


def test_a_failed_verification_is_a_problem_until_the_next_succeeds(live: Stage) -> None:
    moved = live.replica("primary").rename(live.folder / "aside")
    live.backups.verify_all()
    [problem] = live.backups.problems()
    assert problem.startswith("The backup of primary failed its verification of ")
    assert problem.endswith("UTC: no matching backup files available")
    shutil.rmtree(live.replica("primary"))
    moved.rename(live.replica("primary"))


def test_a_litestream_that_does_not_run_is_a_problem(stage: Stage) -> None:
    assert stage.backups.problems()[0].startswith("Litestream does not answer: nothing is being replicated.")


def test_where_it_is_switched_off_nothing_is_a_problem(make_stage: Callable[..., Stage]) -> None:
    assert make_stage(LITESTREAM_ENABLED=False).backups.problems() == []


def test_a_backup_that_nobody_verifies_any_more_is_missed(live: Stage) -> None:
    live.backups.outcomes.record(outcome(at=datetime.now(UTC) - timedelta(hours=49)))
    live.backups.outcomes.record(outcome("queue", at=datetime.now(UTC) - timedelta(hours=47)))
    assert live.backups.problems() == ["The backup of primary has not been verified for 49 hours. Does the job still run?"]


def test_a_backup_that_was_never_verified_is_missed_two_days_after_the_first_start(live: Stage) -> None:
    assert live.backups.problems() == []
    since = live.backups.outcomes.watched_since()
    assert since is not None
    assert (datetime.now(UTC) - since).total_seconds() < 60
    text = live.backups.outcomes.path.read_text()
    live.backups.outcomes.path.write_text(text.replace(since.isoformat(), (since - timedelta(hours=50)).isoformat()))
    assert len(live.backups.problems()) == 2
    assert "has not been verified for 50 hours" in live.backups.problems()[0]


def test_what_cannot_be_written_down_stops_no_other_verification(live: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(verification: Verification) -> Verification:
        raise OSError("no space left on device")

    monkeypatch.setattr(live.backups.outcomes, "record", full)
    assert [(one.database, one.ok) for one in live.backups.verify_all()] == [("primary", True), ("queue", True)]


def test_what_a_killed_restore_left_is_removed_by_a_later_one(live: Stage) -> None:
    live.wait_until_synced()
    restored = live.backups.restore_to_new_file("primary").path
    old, new = (restored.with_name(f"primary-{name}.partial.tmp") for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    live.backups.restore_to_new_file("primary")
    assert (old.exists(), new.exists()) == (False, True)
