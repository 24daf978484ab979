"""What was measured, as a table, as a plot and on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.page import with_part, write
from benchmarks.plot import HEIGHT, WIDTH, plot
from benchmarks.soak import soak_report
from benchmarks.table import table

ROOT = Path(__file__).parents[2]


def row(case: str, group: str, repetition: int = 0, **values: Any) -> dict[str, Any]:
    return {"case": case, "group": group, "repetition": repetition, "values": values}


def line(rows: list[dict[str, Any]], title: str) -> list[str]:
    """The first line of the table with this title, without it."""
    found = next(line for line in table(rows).splitlines() if line.startswith(f"| {title} "))
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


RATES = [
    *(row("flask-queue on sqlite", "drain", number, rate=rate) for number, rate in enumerate((3000, 1000, 2000))),
    row("flask-queue async on sqlite", "drain", rate=8000),
    row("raw on sqlite", "drain", rate=40_000),
    row("huey fsync on sqlite", "drain", rate=500),
    row("huey on sqlite", "drain", rate=4000),
    row("pgqueuer on postgresql", "drain", rate=9000),
]


def test_a_rate_is_compared_with_the_raw_database_and_with_the_highest_peer_on_it() -> None:
    assert line(RATES, "drain, jobs/s") == [
        "2,000 [1,000-3,000]",
        "8,000",
        "40,000",
        "0.05 / 0.20",
        "0.50 / 2.00",
        "huey 4,000; huey fsync 500",
    ]


def test_of_times_the_lowest_is_the_best_and_repetitions_are_taken_together() -> None:
    rows = [
        row("flask-queue on postgresql", "pickup", 0, delays_ms=[1.0, 2.0, 3.0]),
        row("flask-queue on postgresql", "pickup", 1, delays_ms=[9.0, 9.0, 9.0]),
        row("huey on postgresql", "pickup", delays_ms=[6.0]),
        row("procrastinate on postgresql", "pickup", delays_ms=[18.0]),
    ]
    assert line(rows, "pickup, p50 ms") == ["9.0 [2.0-9.0]", "-", "-", "-", "1.50", "huey 6.0; procrastinate 18.0"]


def test_figures_and_databases_without_results_are_left_out() -> None:
    shown = table([row("raw on sqlite", "bulk", rate=1.0), row("huey on sqlite", "pickup", delays_ms=[1.0])])
    assert "enqueue many, jobs/s" in shown
    assert "memory" not in shown  # as where there is no /proc
    assert "drain" not in shown
    assert "postgresql" not in shown


GROWTH = {
    "machine": {"date": "2026-01-01"},
    "operations": {
        name: {
            operation: {"1000": [1.0, 2.0], "1000000": [3.0, 70.0]} for operation in ("claim", "finish", "enqueue", "overview")
        }
        for name in ("sqlite", "postgresql", "mariadb")
    },
    "dispatch": {},
    "limited": {},
    "errors": [],
}
COMPARISON = {
    "repetitions": 3,
    "sizes": {"drain": 100},
    "machine": {},
    "left_out": {"not installed": ["rq"]},
    "rows": RATES,
    "durability": {"raw on sqlite": r"\1"},
    "errors": [],
}


def test_the_plot_is_svg_with_a_line_for_each_percentile_of_each_database() -> None:
    picture = ElementTree.fromstring(plot(GROWTH))
    space = {"svg": "http://www.w3.org/2000/svg"}
    panels = picture.findall("svg:g", space)
    assert len(panels) == 3
    for panel in panels:
        assert len(panel.findall("svg:path", space)) == 6
        assert [text.text for text in panel.findall("svg:text", space)][-2:] == ["1k", "1M"]


def test_what_does_not_grow_is_level_and_every_line_is_within_its_panel() -> None:
    level = json.loads(json.dumps(GROWTH).replace("3.0, 70.0", "1.0, 2.0"))
    for d in re.findall(r'<path class=.* d="M([^"]+)"', plot(level)):
        (x1, y1), (x2, y2) = (map(float, point.split()) for point in d.split(" L"))
        assert (x1, x2) == (0, WIDTH)
        assert y1 == y2
        assert 0 <= y1 <= HEIGHT


SLICES = [
    {"rate": rate, "p50_ms": p50, "p99_ms": 9.0, "backlog": 0, "cpu_us": 30.0, "dead_rows": dead}
    for rate, p50, dead in ((100.0, 1.0, 0), (90.0, 4.0, 7), (100.0, 3.0, 2000))
]
SOAK = {
    "machine": {"date": "today"},
    "databases": {"postgresql": {"peak": 200.0, "rate": 100.0, "seconds": 1800.0, "slices": SLICES}},
}


def test_a_soak_shows_the_beginning_beside_the_end() -> None:
    lines = [[cell.strip() for cell in one.strip("|").split("|")] for one in soak_report(SOAK).splitlines()]
    assert ["first third", "100", "1.0", "9.0", "0", "30", "0"] in lines
    assert ["last third", "100", "3.0", "9.0", "0", "30", "2,000"] in lines
    assert ["at worst", "90", "4.0", "9.0", "0", "30", "2,000"] in lines


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The real page, with results made up."""
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "performance.md").write_text((ROOT / "docs" / "performance.md").read_text())
    for name, results in (("comparison", COMPARISON), ("growth", GROWTH), ("soak", SOAK)):
        (tmp_path / "benchmarks" / "results" / f"{name}.json").write_text(json.dumps(results))
    return tmp_path


def test_writing_the_page_twice_changes_nothing_the_second_time(project: Path) -> None:
    first = {path: path.read_text() for path in write(project)}
    second = {path: path.read_text() for path in write(project)}
    assert first == second
    page = first[project / "docs" / "performance.md"]
    assert "2,000 [1,000-3,000]" in page
    assert "1.00 / 2.00" in page
    assert "100 jobs/s, half of the 200 that were enqueued and run at once at most, for 30 minutes." in page
    assert r"Durability, \1: raw on sqlite" in page


def test_writing_the_page_leaves_alone_what_people_wrote(project: Path) -> None:
    [page, _] = write(project)
    before, after = (ROOT / "docs" / "performance.md").read_text(), page.read_text()
    for name in ("comparison", "growth", "soak"):
        before, after = with_part(before, name, ""), with_part(after, name, "")
    assert before == after


def test_a_page_without_the_comments_is_refused() -> None:
    with pytest.raises(SystemExit, match="<!-- growth -->"):
        with_part("nothing here", "growth", "…")


def test_the_page_in_the_repository_shows_the_results_beside_it() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    saved = json.loads((ROOT / "benchmarks" / "results" / "comparison.json").read_text())
    assert table(saved["rows"]) in page
    growth = json.loads((ROOT / "benchmarks" / "results" / "growth.json").read_text())
    assert (ROOT / "docs" / "images" / "growth.svg").read_text() == plot(growth)
    assert soak_report(json.loads((ROOT / "benchmarks" / "results" / "soak.json").read_text())) in page
