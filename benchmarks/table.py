"""Results as one table in Markdown: what Flask-Queue does, the database below it, its peers, and how they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cases import ASYNC, CASES, OURS, RAW, Case
from .databases import NAMES
from .figures import FIGURES, Figure, Sizes, Values

HEADER = ("figure", "Flask-Queue", "async def", "raw database", "/ raw", "/ best peer", "peers, the best first")
NOTHING = "-"

#: The values of each case, by group and key of the case: a list with one entry for each repetition.
Found = Mapping[str, Mapping[str, Sequence[Values]]]


def grouped(rows: Sequence[Mapping[str, Any]]) -> Found:
    """The rows of results by group and case."""
    found: dict[str, dict[str, list[Values]]] = {}
    for row in rows:
        found.setdefault(row["group"], {}).setdefault(row["case"], []).append(row["values"])
    return found


@dataclass(frozen=True)
class Line:
    """One figure on one kind of database: those cases that have it, with what all their repetitions give."""

    figure: Figure
    repetitions: Mapping[Case, Sequence[Values]]

    def cells(self) -> tuple[str, ...]:
        """What stands in the columns of HEADER."""
        ours = [self._named(name) for name in (OURS, ASYNC, RAW)]
        peers = self._peers()
        names = [f"{case.name} {self._cell(case)}" for case in peers]
        return (
            self.figure.title,
            *(self._cell(case) if case else NOTHING for case in ours),
            self._ratios(ours[:2], ours[2]),
            self._ratios(ours[:2], peers[0] if peers else None),
            "; ".join(names) or NOTHING,
        )

    def _named(self, name: str) -> Case | None:
        return next((case for case in self.repetitions if case.name == name), None)

    def _peers(self) -> list[Case]:
        peers = [case for case in self.repetitions if case.is_peer]
        return sorted(peers, key=self._overall, reverse=self.figure.more_is_better)

    def _overall(self, case: Case) -> float:
        return self.figure.overall(self.repetitions[case])

    def _cell(self, case: Case) -> str:
        """The median, and in brackets the lowest and the highest where they are not the same."""
        low, high = (self._number(number) for number in self.figure.spread(self.repetitions[case]))
        middle = self._number(self._overall(case))
        return middle if low == high else f"{middle} [{low}-{high}]"

    def _number(self, number: float) -> str:
        return f"{number:,.{self.figure.decimals}f}"

    def _ratios(self, ours: Sequence[Case | None], other: Case | None) -> str:
        """Ours divided by another's; the second for `async def` jobs."""
        measure = self._overall(other) if other else 0
        having = [case for case in ours if case] if measure else []
        return " / ".join(_ratio(self._overall(case) / measure) for case in having) or NOTHING


def _ratio(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.0f}"


def report(results: Mapping[str, Any]) -> str:
    """The table of a comparison, and what it was measured on and how."""
    return f"{table(results['rows'])}\n\n{notes(results)}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All figures in one table, by database."""
    return markdown(HEADER, _body(grouped(rows)))


def markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table whose source can be read, too."""
    lines = [header, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in (header, rule, *body)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _body(found: Found) -> list[tuple[str, ...]]:
    body: list[tuple[str, ...]] = []
    for database in NAMES:
        cases = [case for case in CASES if case.database == database]
        lines = [line for figure in FIGURES if (line := _line(figure, cases, found)).repetitions]
        if lines:
            body += [(f"**{database}**", *[""] * (len(HEADER) - 1)), *(line.cells() for line in lines)]
    return body


def _line(figure: Figure, cases: Sequence[Case], found: Found) -> Line:
    of_group = found.get(figure.group, {})
    having = {case: [values for values in of_group.get(case.key, ()) if figure.name in values] for case in cases}
    return Line(figure, {case: values for case, values in having.items() if values})


def notes(results: Mapping[str, Any]) -> str:
    """What a comparison was measured on and how, as a list in Markdown."""
    lines = [machine_line(results), f"- Repetitions: {results['repetitions']}; {in_words(Sizes(**results['sizes']))}."]
    lines += [f"- Durability, {what}: {', '.join(keys)}." for what, keys in _inverted(results["durability"]).items()]
    lines += [f"- {reason[0].upper()}{reason[1:]}: {', '.join(names)}." for reason, names in results["left_out"].items()]
    lines += [f"- Failed: {error}" for error in results["errors"]]
    return "\n".join(lines)


def machine_line(results: Mapping[str, Any]) -> str:
    """The machine and the versions, as an item of a list."""
    return f"- Measured on: {', '.join(f'{name} {fact}' for name, fact in results['machine'].items())}."


def in_words(sizes: Sizes) -> str:
    """How much was measured in each repetition."""
    return (
        f"in each {sizes.enqueue:,} jobs enqueued one by one, {sizes.bulk:,} at once, {sizes.drain:,} drained or as many as "
        f"finish in {sizes.drain_seconds:.0f} s, {sizes.pickup} picked up, {sizes.idle_seconds:.0f} s idle"
    )


def _inverted(durability: Mapping[str, str]) -> dict[str, list[str]]:
    """The cases that promise the same, by what they promise."""
    same: dict[str, list[str]] = {}
    for key, what in durability.items():
        same.setdefault(what, []).append(key)
    return same
