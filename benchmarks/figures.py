"""What is measured, and how each figure is shown and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

#: Groups of figures that are measured together: what `--figures` takes.
GROUPS = {
    "enqueue": "one job a call, each committed before the call returns",
    "bulk": "many jobs in one call",
    "drain": "waiting jobs that do nothing, with the workers set for throughput",
    "default-drain": "the same with the workers as they come",
    "pickup": "from just before the enqueuing call to the start of the body, workers as they come; and their memory",
    "idle": "CPU time of the workers as they come, with nothing to do",
    "one-process": "the memory of the workers after the same stream of jobs, all of them in one process",
}


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    enqueue: int = 2000
    bulk: int = 10_000
    drain: int = 5000
    #: A drain is judged by what is finished after so many seconds, if not all is.
    drain_seconds: float = 4.0
    #: In one repetition.
    pickup: int = 50
    quiet_seconds: float = 10.0
    idle_seconds: float = 20.0
    #: How long to wait for the machine to be quiet before each measurement.
    patience: float = 3.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


QUICK = Sizes(enqueue=100, bulk=500, drain=200, drain_seconds=3.0, pickup=10, quiet_seconds=1.0, idle_seconds=2.0, patience=0.0)

#: What one repetition measured of one case: numbers by name, or lists of them.
Values = dict[str, Any]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass(frozen=True)
class Figure:
    """A number to compare."""

    group: str
    title: str
    #: The name of the number in `Values`, or of a list that `of` makes a number of.
    name: str
    more_is_better: bool = False
    decimals: int = 0
    of: Callable[[Sequence[float]], float] | None = None

    def of_repetition(self, values: Values) -> float:
        found = values[self.name]
        return float(self.of(found) if self.of else found)

    def overall(self, repetitions: Sequence[Values]) -> float:
        """The median of the repetitions; of lists, what all of them together give."""
        if self.of:
            return float(self.of([value for values in repetitions for value in values[self.name]]))
        return float(median(self.of_repetition(values) for values in repetitions))

    def spread(self, repetitions: Sequence[Values]) -> tuple[float, float]:
        """The lowest and the highest of the repetitions."""
        numbers = [self.of_repetition(values) for values in repetitions]
        return min(numbers), max(numbers)


def _p50(values: Sequence[float]) -> float:
    return percentile(values, 50)


def _p99(values: Sequence[float]) -> float:
    return percentile(values, 99)


FIGURES = (
    Figure("enqueue", "enqueue one, jobs/s", "rate", more_is_better=True),
    Figure("enqueue", "enqueue one, p50 ms", "p50_ms", decimals=2),
    Figure("enqueue", "enqueue one, p99 ms", "p99_ms", decimals=2),
    Figure("bulk", "enqueue many, jobs/s", "rate", more_is_better=True),
    Figure("drain", "drain, jobs/s", "rate", more_is_better=True),
    Figure("default-drain", "drain by default, jobs/s", "rate", more_is_better=True),
    Figure("pickup", "pickup, p50 ms", "delays_ms", decimals=1, of=_p50),
    Figure("pickup", "pickup, p99 ms", "delays_ms", decimals=1, of=_p99),
    Figure("idle", "idle, CPU s/minute", "cpu", decimals=2),
    Figure("pickup", "memory (PSS), MB", "pss", decimals=0),
    Figure("one-process", "memory of one process, MB", "pss", decimals=0),
)
