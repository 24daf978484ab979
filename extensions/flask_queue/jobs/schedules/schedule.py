"""When a recurring task is due: a text, the cron it stands for, and a time zone with its gaps and repeated hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ...errors import InvalidScheduleError
from .cron import Cron
from .phrases import SeveralCrons, cron_from_phrase, is_phrase
from .zones import change_of_clocks, find_zone, instants, looks_like_a_zone, wall_time

_LONGEST_TEXT = 500
_SECOND = timedelta(seconds=1)
_WHAT_IS_ALLOWED = (
    "Write a phrase ('every 10 minutes', 'every weekday at 9am') or cron (5 fields, or 6 with seconds first), and after it, "
    "if need be, a time zone by its IANA name ('every day at 1am America/New_York')."
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Instants on a grid, as `every 10 minutes`, `every day at 1am EST` or `*/5 8-17 * * mon-fri Europe/Berlin` draw it.

    Where the clocks change, one of two rules holds:

    - **Hourly and finer** schedules, those that fire in all 24 hours of the day (their hour field is `*`, or says as much),
      follow real time: they fire at every real minute at which the clock on the wall matches. So an hourly task runs 23 times
      on the day that loses an hour and 25 times on the day that repeats one, and "every 10 minutes" never pauses for an hour.
    - All others name **times of the day**, be it one (`30 2 * * *`), some (`0 */2 * * *`) or a window (`*/10 8-17 * * *`). Each
      of these fires exactly once a day, at the first instant at which the clock has reached it: a time that the clock skips
      fires right after the gap (02:30 at 03:00), once even if the gap swallows several, and a time that comes twice fires the
      first time only.

    A step starts again with each unit above it: "every 17 hours" is at 0:00 and 17:00 of each day, "every 7 minutes" at :00,
    :07 … :56 of each hour, and "every 2 days" on the odd days of each month.

    Where both the day of the month and the day of the week are set, either suffices, as in any cron.
    """

    text: str
    """As written, zone included."""
    cron: str
    """The same as cron: numbers for names, and the zone if the text names one."""
    time_zone: str
    """The zone that holds: the text's own, or else the default it was parsed with."""
    _cron: Cron = field(repr=False, compare=False)
    _zone: ZoneInfo = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, time_zone: str = "UTC") -> Schedule:
        """Read a phrase, a cron text or an alias such as `@daily`, with or without a time zone at its end.

        :param time_zone: IANA name of the zone for texts that name none.
        :raises InvalidScheduleError: for anything else; for one that would never fire; for a phrase that needs several crons.
        """
        try:
            words, zone = _split_zone(str(text))
            cron = Cron.parse(cron_from_phrase(words) if is_phrase(words) else words)
            default = _default_zone(time_zone)  # although the text may name one: it is stored and shown
            named = zone or default
        except SeveralCrons as several:
            raise InvalidScheduleError(
                f"Schedule generates multiple cron schedules: '{text}' is {several}. "
                "Please use separate recurring tasks, one for each."
            ) from None
        except ValueError as reason:
            raise InvalidScheduleError(_refusal(str(text), reason)) from None
        return cls(str(text), f"{cron.text} {zone.key}" if zone else cron.text, named.key, cron, named)

    def __str__(self) -> str:
        return self.text

    def next_after(self, moment: datetime) -> datetime:
        """Give the first instant of the schedule strictly after `moment` (naive: UTC), aware and in UTC.

        :raises InvalidScheduleError: if there is none before the year 10000.
        """
        try:
            start = _aware(moment).replace(microsecond=0) + _SECOND
            return self._in_real_time(start) if self._cron.is_hourly_or_finer else self._once_a_day(start)
        except OverflowError:
            raise InvalidScheduleError(f"'{self.text}' does not fire again before the year 10000.") from None

    def occurrences(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Give each instant of the schedule after `after`, up to and including `until` (naive: UTC)."""
        last = _aware(until)
        moment = self.next_after(after)
        while moment <= last:
            yield moment
            moment = self.next_after(moment)

    def _in_real_time(self, start: datetime) -> datetime:
        """Give the first instant from `start` on at which the wall clock matches."""
        wall = wall_time(start, self._zone)
        one, other = instants(self._first_match(wall), self._zone)
        if other < one:  # the clock skips this match: go on where it lands
            return self._in_real_time(change_of_clocks(other, one, self._zone))
        match = one if one >= start else other
        if start < (again := instants(wall, self._zone)[1]):  # this hour comes twice, and this is the first time
            back = change_of_clocks(start, again, self._zone)
            return match if match < back else self._in_real_time(back)
        return match

    def _once_a_day(self, start: datetime) -> datetime:
        """Give the first instant from `start` on at which the wall clock reaches a match that it had not reached before."""
        before = start - _SECOND
        reached = wall_time(before, self._zone)
        one, other = instants(reached, self._zone)
        if one < before:  # the clock was set back, and shows this time again: it has already been further
            reached += change_of_clocks(one, other, self._zone) - one - _SECOND
        one, other = instants(self._first_match(reached + _SECOND), self._zone)
        return one if one <= other else change_of_clocks(other, one, self._zone)

    def _first_match(self, wall: datetime) -> datetime:
        match = self._cron.at_or_after(wall)
        if match is None:
            raise OverflowError
        return match


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _split_zone(text: str) -> tuple[str, ZoneInfo | None]:
    """Take the time zone, if there is one, off the end of the text."""
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"it is longer than {_LONGEST_TEXT} characters")
    words = text.split()
    zone = find_zone(words[-1]) if words else None
    if zone is None:
        return " ".join(words), None
    rest = words[:-2] if len(words) > 1 and words[-2].lower() in ("in", "on") else words[:-1]
    return " ".join(rest), zone


def _default_zone(name: str) -> ZoneInfo:
    zone = find_zone(name)
    if zone is None:
        raise ValueError(f"the default time zone '{name}' is not an IANA name")
    return zone


def _refusal(text: str, reason: ValueError) -> str:
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    last = text.split()[-1] if text.strip() and len(text) <= _LONGEST_TEXT else ""
    is_no_zone = looks_like_a_zone(last) and find_zone(last) is None
    why = f"'{last}' is not a time zone" if is_no_zone else str(reason)
    return f"Schedule is not a supported recurring schedule: '{shown}' ({why}). {_WHAT_IS_ALLOWED}"
