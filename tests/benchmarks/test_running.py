"""`python -m benchmarks`, as it is called: what it prints, saves and leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.figures import QUICK
from benchmarks.marks import VARIABLE
from benchmarks.measure import Measurement, NothingHappens
from benchmarks.processes import Command
from benchmarks.queues.base import Queue

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it where no server is known, so that SQLite is all there is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def cells(output: str, title: str) -> list[str]:
    """The line of the table that begins with this title."""
    [line] = [line for line in output.splitlines() if line.startswith(f"| {title} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_it_measures_prints_ratios_and_saves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    saved, folder = tmp_path / "results" / "saved.json", tmp_path / "disk"
    folder.mkdir()
    arguments = ("--quick", "--figures", "drain", "--folder", str(folder), "--save", str(saved))
    result = benchmarks(*arguments, "--cases", "flask-queue on sqlite,raw on *")
    assert result.returncode == 0, result.stderr

    header, drain = cells(result.stdout, "figure"), cells(result.stdout, "drain, jobs/s")
    line = dict(zip(header, drain, strict=True))
    rate, raw = (float(line[name].replace(",", "")) for name in ("Flask-Queue", "raw database"))
    assert float(line["/ raw"]) == pytest.approx(rate / raw, abs=0.01)
    assert line["/ best peer"] == line["async def"] == "-"  # neither was asked for

    for fact in ("- Measured on:", "CPU", "memory", "SQLite", "journal_mode=wal, synchronous=NORMAL"):
        assert fact in result.stdout
    assert "TEST_POSTGRESQL_URL is not set: raw on postgresql." in result.stdout
    assert "1 of 1: flask-queue on sqlite, drain" in result.stderr
    [ours, _] = json.loads(saved.read_text())["rows"]
    assert (ours["case"], ours["values"]["finished"], ours["values"]["repeated"]) == ("flask-queue on sqlite", 200, 0)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--figures", "enqueue,speed"), "there is no 'speed'; there are enqueue, bulk, drain, default-drain, pickup, idle"),
        (("--cases", "sidekiq*"), "no case is called 'sidekiq*'; there are flask-queue on sqlite,"),
        (("--repetitions", "0"), "'0' is not a number from 1 on"),
        (("--folder", "/nowhere/at/all"), "there is no folder '/nowhere/at/all'"),
        (("everything",), "invalid choice: 'everything' (choose from"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_can(arguments: tuple[str, ...], complaint: str) -> None:
    result = benchmarks("--quick", *arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert not result.stdout


def test_a_queue_that_forks_is_weighed_in_one_process_too() -> None:
    result = benchmarks("--quick", "--figures", "pickup,one-process", "--cases", "flask-queue on sqlite")
    assert result.returncode == 0, result.stderr
    forked, alone = (int(cells(result.stdout, title)[1]) for title in ("memory (PSS), MB", "memory of one process, MB"))
    assert 10 < alone < forked


class Hopeless(Queue):
    """A queue whose workers end as soon as they start."""

    def fill(self, numbers: range) -> None:
        pass

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        return [[sys.executable, "-c", "print('no such luck')"]]

    def clear(self) -> None:
        pass


def test_workers_that_end_are_not_waited_for_and_their_log_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "restored when the test is over")
    with pytest.raises(NothingHappens, match="the workers have ended; they wrote: no such luck"):
        Measurement(Hopeless("sqlite://", {}), "sqlite://", QUICK).measure("drain")


def test_a_soak_is_measured_and_saved(tmp_path: Path) -> None:
    saved = tmp_path / "soak.json"
    result = benchmarks("soak", "--quick", "--save", str(saved), "--folder", str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert len(cells(result.stdout, "last third")) == 7
    found = json.loads(saved.read_text())["databases"]["sqlite"]
    assert len(found["slices"]) == 2
    for part in found["slices"]:
        assert 0 < part["p50_ms"] <= part["p99_ms"]
        assert part["cpu_us"] > 0
    assert list(tmp_path.iterdir()) == [saved]


def test_growth_is_measured_and_saved(tmp_path: Path) -> None:
    saved = tmp_path / "growth.json"
    result = benchmarks("growth", "--quick", "--save", str(saved), "--folder", str(tmp_path))
    assert result.returncode == 0, result.stderr

    assert cells(result.stdout, "p50 / p99, ms") == ["p50 / p99, ms", "1,000 rows", "2,000 rows"]
    for title in ("claim 10 jobs", "finish 10 jobs", "enqueue one job", "overview page"):
        assert len(cells(result.stdout, title)) == 3
    assert "a dispatcher makes 1,000 due jobs ready in" in result.stdout
    assert "jobs of 1,000 concurrency keys" in result.stdout
    assert list(json.loads(saved.read_text())["operations"]) == ["sqlite"]
    assert list(tmp_path.iterdir()) == [saved]
