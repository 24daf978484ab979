"""What commands print is aligned, harmless to a terminal, and whole in a pipe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from flask_queue.cli import output


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def of_width(columns: int) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return of_width


def test_columns_are_aligned_with_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(("QUEUE", "READY", ""), [("mail", 5, "paused"), ("background", 1200, "")])
    assert capsys.readouterr().out == ("QUEUE       READY\nmail            5  paused\nbackground   1200\n")


def test_a_table_without_rows_is_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


def test_a_long_line_is_whole_in_a_pipe_and_cut_on_a_terminal(
    capsys: pytest.CaptureFixture[str], on_a_terminal: Callable[[int], None]
) -> None:
    output.echo_table(("ARGUMENTS",), [("x" * 300,)])
    assert "x" * 300 in capsys.readouterr().out
    on_a_terminal(40)
    output.echo_table(("ARGUMENTS",), [("x" * 300,)])
    assert capsys.readouterr().out == f"ARGUMENTS\n{'x' * 39}…\n"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "a\rb", "\x07", "\u202etxt"])
def test_no_text_commands_the_terminal(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(("MESSAGE",), [(hostile,)])
    output.echo_fields([("message", hostile)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_a_traceback_keeps_its_lines_and_loses_its_control_characters() -> None:
    assert output.printable_lines("File x\n\tboom \x1b[31m\n") == "File x\n        boom \\x1b[31m"


def test_moments_are_shown_in_utc() -> None:
    moment = datetime(2030, 1, 31, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert output.shown(moment) == "2030-01-30 23:30:00 UTC"
    assert output.shown(None) == "-"


@pytest.mark.parametrize(
    ("length", "words"),
    [(0, "0 s"), (0.44, "0.4 s"), (12.3, "12 s"), (60, "1 min"), (7200, "2 h"), (86400 * 3, "3 d")],
)
def test_lengths_of_time_are_in_their_largest_unit(length: float, words: str) -> None:
    assert output.seconds(length) == words


def test_machines_get_moments_in_iso_format(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_json({"at": datetime(2030, 1, 31, tzinfo=UTC)})
    assert '"2030-01-31T00:00:00+00:00"' in capsys.readouterr().out
