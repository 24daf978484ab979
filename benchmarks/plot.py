"""Growth as a picture: one panel for each operation, a line for each database. Plain SVG, readable on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .growthtable import TITLES

WIDTH, HEIGHT, MARGIN, TOP, BOTTOM = 250, 210, 48, 34, 40
COLOURS = {"sqlite": "#0f9d76", "postgresql": "#3b82f6", "mariadb": "#d97706"}
LABELS = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #7a7a7a }
.title { font-weight: 600 }
.axis { stroke: #888; stroke-opacity: .35 }
path { fill: none; stroke-width: 2 }
.p99 { stroke-width: 1.5; stroke-dasharray: 3 4 }"""

#: p50 and p99 by the number of rows, of each database.
Lines = Mapping[str, Mapping[int, Sequence[float]]]


def plot(growth: Mapping[str, Any], operations: Sequence[str] = ("claim", "enqueue", "overview")) -> str:
    """The SVG of a growth measurement."""
    width, height = len(operations) * (WIDTH + MARGIN) + 12, TOP + HEIGHT + BOTTOM + 22
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<title>Milliseconds for each operation by the number of rows</title>",
        f"<style>\n{STYLE}\n</style>",
    ]
    for number, operation in enumerate(operations):
        lines = {name: _by_rows(found[operation]) for name, found in growth["operations"].items()}
        x = number * (WIDTH + MARGIN) + MARGIN
        parts.append(f'<g transform="translate({x} {TOP})">\n{_panel(operation, lines)}\n</g>')
    return "\n".join([*parts, _legend(list(growth["operations"]), height - 10), "</svg>\n"])


def _by_rows(found: Mapping[Any, Sequence[float]]) -> dict[int, Sequence[float]]:
    return {int(rows): values for rows, values in found.items()}


@dataclass(frozen=True)
class Scale:
    """Where a point is in a panel. Both axes are logarithmic: what does not grow is level, however small it is."""

    fewest: int
    most: int
    #: The powers of ten between which all milliseconds are.
    low: int
    high: int

    @classmethod
    def of(cls, lines: Lines) -> Scale:
        """The scale on which all lines fit into the panel."""
        sizes = [rows for by_rows in lines.values() for rows in by_rows]
        values = [value for by_rows in lines.values() for values in by_rows.values() for value in values]
        low = math.floor(math.log10(min(values)))
        return cls(min(sizes), max(sizes), low, max(math.ceil(math.log10(max(values))), low + 1))

    def x(self, rows: float) -> float:
        return round(math.log(rows / self.fewest) / (math.log(self.most / self.fewest) or 1) * WIDTH, 1)

    def y(self, milliseconds: float) -> float:
        return round((self.high - math.log10(milliseconds)) / (self.high - self.low) * HEIGHT, 1)

    def path(self, points: Mapping[int, float]) -> str:
        return "M" + " L".join(f"{self.x(rows)} {self.y(value)}" for rows, value in points.items())


def _panel(operation: str, lines: Lines) -> str:
    sizes = sorted({rows for by_rows in lines.values() for rows in by_rows})
    scale = Scale.of(lines)
    parts = [f'<text class="title" x="0" y="-14">{TITLES[operation]}, ms</text>']
    for value in (10.0**power for power in range(scale.low, scale.high + 1)):
        parts.append(f'<line class="axis" x1="0" x2="{WIDTH}" y1="{scale.y(value)}" y2="{scale.y(value)}"/>')
        parts.append(f'<text x="-6" y="{scale.y(value) + 4}" text-anchor="end">{value:g}</text>')
    parts += [f'<text x="{scale.x(rows)}" y="{HEIGHT + 18}" text-anchor="middle">{_short(rows)}</text>' for rows in sizes]
    for name, by_rows in lines.items():
        for number, kind in enumerate(("p50", "p99")):
            points = {rows: values[number] for rows, values in by_rows.items()}
            parts.append(f'<path class="{kind}" stroke="{COLOURS[name]}" d="{scale.path(points)}"/>')
    return "\n".join(parts)


def _legend(names: Sequence[str], y: int) -> str:
    parts = []
    for number, name in enumerate(names):
        x = MARGIN + number * 110
        parts.append(f'<path stroke="{COLOURS[name]}" d="M{x} {y - 4} h24"/><text x="{x + 30}" y="{y}">{LABELS[name]}</text>')
    x = MARGIN + len(names) * 110 + 20
    parts.append(f'<text x="{x}" y="{y}">solid: p50, dotted: p99; rows: ready jobs, and as many finished ones</text>')
    return "\n".join(parts)


def _short(rows: int) -> str:
    return f"{rows // 1_000_000}M" if rows >= 1_000_000 else f"{rows // 1000}k"
