"""Growth as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .cases import LIMITED_NAME, OURS
from .table import machine_line, markdown

TITLES = {
    "claim": "claim 10 jobs",
    "finish": "finish 10 jobs",
    "enqueue": "enqueue one job",
    "overview": "overview page",
}


def growth_report(growth: Mapping[str, Any]) -> str:
    """The table of a growth measurement, and what was measured besides."""
    sizes = sorted({int(rows) for operations in growth["operations"].values() for rows in operations["claim"]})
    header = ("p50 / p99, ms", *(f"{size:,} rows" for size in sizes))
    body: list[Sequence[str]] = []
    for database, operations in growth["operations"].items():
        body.append((f"**{database}**", *[""] * len(sizes)))
        body += [_line(TITLES[name], by_rows) for name, by_rows in operations.items()]
    lines = [machine_line(growth), *_dispatch(growth["dispatch"]), *_limited(growth["limited"])]
    lines += [f"- Failed: {error}" for error in growth["errors"]]
    return "\n".join([markdown(header, body), "", *lines])


def _line(title: str, by_rows: Mapping[Any, Sequence[float]]) -> Sequence[str]:
    return (title, *(f"{p50:.2f} / {p99:.2f}" for p50, p99 in by_rows.values()))


def _dispatch(dispatch: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        f"- {database}: a dispatcher makes {found['jobs']:,} due jobs ready in {found['seconds']:.1f} s, "
        f"{found['jobs'] / found['seconds']:,.0f} a second."
        for database, found in dispatch.items()
    ]


def _limited(limited: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    rates = {name: (median(found[LIMITED_NAME]), median(found[OURS])) for name, found in limited.items() if len(found) == 2}
    return [
        f"- {database}: jobs of 1,000 concurrency keys, one at a time of each, drain at {slow:,.0f} jobs/s, "
        f"{slow / fast:.2f} of what jobs without a limit do."
        for database, (slow, fast) in rates.items()
    ]
