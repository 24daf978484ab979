"""Cron fields, and the calendar they draw: which wall times a schedule names.

Apart from the rest of `schedules` because nothing here knows of time zones: a `Cron` answers for the clock on the wall,
`schedule.py` says what that means in real time. The field engine is our own and not a library's, since six fields with
seconds first, ranges that wrap (`fri-mon`) and a quick answer for dates that never come are all needed at once.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache

LAST = -1
"""Stands for the last day of a month, or the last Friday of it."""

_HORIZON_YEARS = 100
"""A date that does not come within this many years never comes: the rarest one, a fifth Monday in February, takes 40."""

_ITEM = re.compile(r"(\*|[0-9]{1,2})(?:-([0-9]{1,2}))?(?:/([0-9]{1,3}))?")
_NTH_WEEKDAY = re.compile(r"([0-7])#(L|-1|[1-5])")
_TO_LAST_DAY = re.compile(r"([0-9]{1,2})-L")

_MONTHS = "january february march april may june july august september october november december"
_WEEKDAYS = "sunday monday tuesday wednesday thursday friday saturday"
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@noon": "0 12 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column of cron: its bounds, and the words that stand for its numbers."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.high - self.low + 1

    def number(self, word: str) -> int:
        """Give the number of a name, which may be cut to three letters or more (`mon`, `thurs`, `january`)."""
        for number, name in enumerate(self.words, start=self.low):
            if len(word) >= 3 and name.startswith(word):
                return number
        raise ValueError(f"'{word}' is not a {self.name}")


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
MONTHDAY = Field("day of the month", 1, 31)
MONTH = Field("month", 1, 12, tuple(_MONTHS.split()))
WEEKDAY = Field("day of the week", 0, 6, tuple(_WEEKDAYS.split()))
FIELDS = (SECOND, MINUTE, HOUR, MONTHDAY, MONTH, WEEKDAY)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed cron text. Sunday is 0; `days` and `weekdays` are None where the field is `*`."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    days: frozenset[int] | None
    weekdays: frozenset[tuple[int, int]] | None

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Read five fields, six with seconds first, or an alias such as `@daily`; ValueError says what is wrong."""
        columns = _ALIASES.get(text.lower(), text).split()
        if len(columns) not in (5, 6):
            raise ValueError(f"cron has 5 fields, or 6 with seconds first, and this has {len(columns)}")
        columns = [_in_numbers(field, column) for field, column in zip(FIELDS[-len(columns) :], columns, strict=True)]
        second, minute, hour, day, month, weekday = columns if len(columns) == 6 else ["0", *columns]
        cron = cls(
            text=" ".join(columns),
            seconds=_numbers(SECOND, second),
            minutes=_numbers(MINUTE, minute),
            hours=_numbers(HOUR, hour),
            months=_numbers(MONTH, month),
            days=None if _is_any(day) else frozenset(_monthdays(day)),
            weekdays=None if _is_any(weekday) else frozenset(_weekdays(weekday)),
        )
        if cron.at_or_after(datetime(2000, 1, 1)) is None:
            raise ValueError("it never fires: there is no such date")
        return cron

    @property
    def is_hourly_or_finer(self) -> bool:
        """Whether it fires in every hour of the day, so that it names no times of the day."""
        return len(self.hours) == HOUR.size

    def at_or_after(self, wall: datetime) -> datetime | None:
        """Give the first wall time at or after `wall` (naive, whole seconds), or None if there is none."""
        if wall.month in self.months and wall.day in self._days_of(wall.year, wall.month):
            moment = self._time_at_or_after(wall.time())
            if moment is not None:
                return datetime.combine(wall, moment)
        return self._first_after_day(wall)

    def _time_at_or_after(self, start: time) -> time | None:
        """Within one day: the first hour, then minute, then second that is not before `start`."""
        least = (start.hour, start.minute, start.second)
        for hour in self.hours[bisect_left(self.hours, start.hour) :]:
            for minute in self.minutes:
                if (hour, minute, self.seconds[-1]) >= least:
                    second = next(second for second in self.seconds if (hour, minute, second) >= least)
                    return time(hour, minute, second)
        return None

    def _first_after_day(self, wall: datetime) -> datetime | None:
        moment = time(self.hours[0], self.minutes[0], self.seconds[0])
        year, month, day = wall.year, wall.month, wall.day
        while year <= min(wall.year + _HORIZON_YEARS, 9999):
            if month in self.months:
                for match in self._days_of(year, month):
                    if match > day:
                        return datetime.combine(datetime(year, month, match), moment)
            year, month, day = (year, month + 1, 0) if month < 12 else (year + 1, 1, 0)
        return None

    def _days_of(self, year: int, month: int) -> tuple[int, ...]:
        first, length = calendar.monthrange(year, month)
        return _matching_days(self.days, self.weekdays, (first + 1) % 7, length)


@lru_cache(maxsize=1024)
def _matching_days(
    days: frozenset[int] | None, weekdays: frozenset[tuple[int, int]] | None, first: int, length: int
) -> tuple[int, ...]:
    """Pick the days of a month of this length whose first day is the weekday `first`; either field suffices."""

    def matches(day: int) -> bool:
        weekday, nth, is_last = (first + day - 1) % 7, (day - 1) // 7 + 1, day + 7 > length
        by_day = days is not None and (day in days or (day == length and LAST in days))
        by_weekday = weekdays is not None and (
            (weekday, 0) in weekdays or (weekday, nth) in weekdays or (is_last and (weekday, LAST) in weekdays)
        )
        return by_day or by_weekday or (days is None and weekdays is None)

    return tuple(day for day in range(1, length + 1) if matches(day))


def _is_any(column: str) -> bool:
    """A day field counts as set unless it is a bare star; `*/2` is set."""
    return column in ("*", "*/1")


def _in_numbers(field: Field, column: str) -> str:
    """Write names as numbers (`mon-fri` as `1-5`) and `L` in upper case."""
    return re.sub(r"[a-z]+", lambda word: "L" if word[0] == "l" else str(field.number(word[0])), column.lower())


def _numbers(field: Field, column: str) -> tuple[int, ...]:
    return tuple(sorted({number for item in column.split(",") for number in _item(field, item)}))


def _item(field: Field, item: str) -> Iterator[int]:
    """Expand one item of a list: `*`, `5`, `5-10`, each with a `/step`; `22-4` goes past the end and on."""
    match = _ITEM.fullmatch(item)
    if match is None or (match[1] == "*" and match[2]):
        raise ValueError(f"'{item}' is not a {field.name}")
    step = int(match[3] or 1)
    if not 1 <= step <= field.size:
        raise ValueError(f"the step of '{item}' must be from 1 to {field.size}")
    first, last = _bounds(field, match)
    last += field.size if last < first else 0
    return (field.low + (number - field.low) % field.size for number in range(first, last + 1, step))


def _bounds(field: Field, match: re.Match[str]) -> tuple[int, int]:
    if match[1] == "*":
        return field.low, field.high
    first = int(match[1])
    last = int(match[2]) if match[2] else (field.high if match[3] else first)
    highest = 7 if field is WEEKDAY else field.high  # 7 is Sunday too
    if not (field.low <= first <= highest and field.low <= last <= highest):
        raise ValueError(f"'{match[0]}' is not a {field.name}: it must be from {field.low} to {highest}")
    return first, last


def _monthdays(column: str) -> Iterator[int]:
    for item in column.split(","):
        if item == "L":
            yield LAST
        elif to_last := _TO_LAST_DAY.fullmatch(item):
            yield from _item(MONTHDAY, f"{to_last[1]}-31")
        else:
            yield from _item(MONTHDAY, item)


def _weekdays(column: str) -> Iterator[tuple[int, int]]:
    """Give (weekday, which one in the month); 0 is each of them."""
    for item in column.split(","):
        if nth := _NTH_WEEKDAY.fullmatch(item):
            yield int(nth[1]) % 7, LAST if nth[2] in ("L", "-1") else int(nth[2])
        else:
            yield from ((weekday, 0) for weekday in _item(WEEKDAY, item))
