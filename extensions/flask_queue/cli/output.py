"""What commands print: tables, moments, lengths of time, JSON. Cut to the width of a terminal, but whole in a pipe.

Texts from the database are shown without control characters, for they could be commands to the terminal.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click


def is_terminal() -> bool:
    """Whether a person is looking."""
    return sys.stdout.isatty()


def echo_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below their headings, columns aligned: numbers to the right, all else to the left."""
    rows = [list(row) for row in rows]
    cells = [list(headings), *([printable(shown(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [bool(rows) and all(_is_number(row[number]) for row in rows) for number in range(len(headings))]
    for line in cells:
        parts = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        click.echo(cut("  ".join(parts).rstrip()))


def echo_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line. Those without a value are left out."""
    present = [(name, value) for name, value in fields if value is not None]
    width = max(len(name) for name, _ in present)
    for name, value in present:
        click.echo(f"{name.ljust(width)}  {printable(shown(value)) or '-'}")


def echo_json(value: object) -> None:
    """Print for machines: moments as ISO 8601 in UTC."""
    click.echo(json.dumps(value, indent=2, default=_for_json))


def cut(line: str) -> str:
    """A line as the terminal has room for it."""
    width = shutil.get_terminal_size().columns
    return line[: width - 1] + "…" if is_terminal() and len(line) > width else line


def printable(text: str) -> str:
    """Text on one line, harmless to a terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(printable(line.expandtabs()) for line in text.splitlines())


def shown(value: object) -> str:
    """A value as a person reads it."""
    if value is None:
        return "-"
    return moment(value) if isinstance(value, datetime) else str(value)


def moment(value: datetime) -> str:
    """To the second, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def seconds(value: float) -> str:
    """A length of time in its largest unit: 0.4 s, 12 s, 3 min, 5 h, 2 d."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= length:
            return f"{value / length:.0f} {unit}"
    return f"{value:.0f} s" if value >= 10 or value == 0 else f"{value:.1f} s"


def counted(number: int, noun: str) -> str:
    """1 job, 2 jobs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _for_json(value: Any) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
