"""The throughput chart, as numbers: where its bars stand and what is written beside them. The template draws them as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from .formatting import plural
from .queries.overview import Slice

#: Units of the drawing; the page stretches it to any width.
HEIGHT = 100.0
STEP = 10.0
BAR = 7.0


@dataclass(frozen=True)
class Period:
    """What a chart looks back at."""

    label: str
    slices: int
    length: timedelta


PERIODS: Mapping[str, Period] = {
    "hour": Period("Last hour", 60, timedelta(minutes=1)),
    "day": Period("Last day", 48, timedelta(minutes=30)),
}


@dataclass(frozen=True)
class Bar:
    """One slice: finished below, failed on top of it."""

    x: float
    finished_y: float
    finished_height: float
    failed_y: float
    failed_height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """A drawing of so many units, and its labels."""

    bars: Sequence[Bar]
    width: float
    top: int
    labels: Sequence[str]
    finished: int
    failed: int

    @property
    def is_empty(self) -> bool:
        return not (self.finished or self.failed)


def moments(now: datetime, period: Period) -> list[datetime]:
    """Where the slices of a period begin and end: on full minutes, or half hours, so that bars keep their height."""
    length = period.length.total_seconds()
    end = datetime.fromtimestamp((now.timestamp() // length + 1) * length, UTC)
    return [end - period.length * number for number in range(period.slices, -1, -1)]


def draw(slices: Sequence[Slice], zone: ZoneInfo) -> Chart:
    """The chart of some slices, its times in `zone`."""
    top = ceiling(max((each.finished + each.failed for each in slices), default=0))
    bars = [_bar(number * STEP + (STEP - BAR) / 2, each, HEIGHT / top, zone) for number, each in enumerate(slices)]
    return Chart(
        bars,
        width=len(slices) * STEP,
        top=top,
        labels=_labels(slices, zone),
        finished=sum(each.finished for each in slices),
        failed=sum(each.failed for each in slices),
    )


def ceiling(number: int) -> int:
    """The next number that is good to read: 2, 4, 10, 20, 40, 100 …"""
    power = 1
    while True:
        for factor in (2, 4, 10):
            if number <= factor * power:
                return factor * power
        power *= 10


def _bar(x: float, each: Slice, scale: float, zone: ZoneInfo) -> Bar:
    finished, failed = each.finished * scale, each.failed * scale
    span = " to ".join(f"{moment.astimezone(zone):%H:%M}" for moment in (each.start, each.end))
    title = f"{span}: {plural(each.finished, 'job')} finished, {plural(each.failed, 'attempt')} failed"
    return Bar(x, HEIGHT - finished, finished, HEIGHT - finished - failed, failed, title)


def _labels(slices: Sequence[Slice], zone: ZoneInfo) -> list[str]:
    """The times at the ends and at each quarter."""
    if not slices:
        return []
    quarter = len(slices) // 4
    marks = [slices[number * quarter].start for number in range(4)] + [slices[-1].end]
    return [f"{moment.astimezone(zone):%H:%M}" for moment in marks]
