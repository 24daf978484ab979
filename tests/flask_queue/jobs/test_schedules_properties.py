"""Schedules against two clocks written another way: a brute-force one that looks at every minute, and croniter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_queue.jobs.schedules import Schedule

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

# Gaps and repeats of an hour, of half an hour, of two, at midnight, at a minute past it, in the month of Ramadan, of a whole
# day, and none.
ZONES = {
    "America/New_York": 2026,
    "Europe/Berlin": 2026,
    "Australia/Lord_Howe": 2026,
    "America/St_Johns": 2010,
    "Africa/Casablanca": 2026,
    "Pacific/Apia": 2011,
    "Africa/Cairo": 2026,
    "America/Havana": 2026,
    "Antarctica/Troll": 2026,
    "Asia/Kathmandu": 2026,
}


@dataclass(frozen=True)
class Fields:
    """A cron of plain sets; None stands for a star."""

    minutes: frozenset[int]
    hours: frozenset[int] | None
    days: frozenset[int] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None

    @property
    def text(self) -> str:
        columns = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join("*" if column is None else ",".join(map(str, sorted(column))) for column in columns)

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or (self.hours is not None and wall.hour not in self.hours):
            return False
        if self.months is not None and wall.month not in self.months:
            return False
        said = [
            number in numbers
            for number, numbers in ((wall.day, self.days), (wall.isoweekday() % 7, self.weekdays))
            if numbers is not None
        ]
        return any(said) or not said


def brute_force(fields: Fields, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Walk through every minute, as a watchman with a list would.

    If the schedule has runs in every hour he looks whether this minute is on the list. If not, he ticks off what the clock has
    come to or gone past since the latest time it ever showed. (Datetimes of one zone compare and subtract as walls show them.)
    """
    hourly = fields.hours is None or len(fields.hours) == 24
    first, last = int(start.timestamp()), int(end.timestamp())
    latest = datetime.fromtimestamp(first - 3 * 86_400, zone)
    for second in range(first - 3 * 86_400 + 60, last + 1, 60):
        wall = datetime.fromtimestamp(second, zone)
        if hourly:
            due = fields.matches(wall)
        elif wall <= latest:
            due = False
        else:
            due = fields.matches(wall) or any(
                fields.matches(latest + number * MINUTE) for number in range(1, (wall - latest) // MINUTE)
            )
            latest = wall
        if due and second > first:
            yield datetime.fromtimestamp(second, UTC)


@cache
def changes(zone: str) -> list[datetime]:
    """The hours of the year before which the clocks of the zone changed."""
    year = datetime(ZONES[zone], 1, 1, tzinfo=UTC)
    hours = [(year + timedelta(hours=hour)).astimezone(ZoneInfo(zone)) for hour in range(365 * 24)]
    return [later.astimezone(UTC) for earlier, later in pairwise(hours) if earlier.utcoffset() != later.utcoffset()]


def columns(low: int, high: int, size: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(low, high), min_size=1, max_size=size)


HOURS = st.one_of(
    st.none(),
    st.just(frozenset(range(24))),
    columns(0, 23, 5),
    st.frozensets(st.sampled_from([23, 0, 1, 2, 3]), min_size=1),
    st.just(frozenset(range(24)) - {12}),
)
FIELDS = st.builds(
    Fields,
    minutes=st.one_of(st.just(frozenset({0, 30})), columns(0, 59, 6)),
    hours=HOURS,
    days=st.one_of(st.none(), st.none(), columns(1, 28, 20)),
    months=st.one_of(st.none(), st.none(), columns(1, 12, 6)),
    weekdays=st.one_of(st.none(), st.none(), columns(0, 6, 5)),
)


@pytest.mark.parametrize("zone", ZONES)
@given(data=st.data(), fields=FIELDS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_around_a_change_of_clocks_a_schedule_fires_as_a_minute_by_minute_watch_does(
    zone: str, data: st.DataObject, fields: Fields
) -> None:
    """H25, H26, H27"""
    new_year = datetime(ZONES[zone], 1, 2, tzinfo=UTC)
    about = data.draw(st.sampled_from([*changes(zone), new_year]), label="about")
    start = about - timedelta(minutes=data.draw(st.integers(-180, 900), label="minutes before"))
    end = about + DAY
    found = list(Schedule.parse(f"{fields.text} {zone}").occurrences(start, end))
    assert found == list(brute_force(fields, ZoneInfo(zone), start, end))


TIMES_OF_DAY = Fields(frozenset({0, 30}), frozenset(range(2, 24, 3)), None, None, None)
FINER_THAN_HOURLY = Fields(frozenset({0, 20, 40}), None, None, None, None)


@pytest.mark.parametrize(
    ("zone", "fields"),
    [*((zone, TIMES_OF_DAY) for zone in list(ZONES)[:6]), *((zone, FINER_THAN_HOURLY) for zone in list(ZONES)[2:4])],
)
def test_over_a_year_a_schedule_fires_as_a_minute_by_minute_watch_does(zone: str, fields: Fields) -> None:
    """H25, H26, H27"""
    start = datetime(ZONES[zone], 1, 1, tzinfo=UTC)
    end = start + 365 * DAY
    found = list(Schedule.parse(fields.text, zone).occurrences(start, end))
    assert found == list(brute_force(fields, ZoneInfo(zone), start, end))


@given(FIELDS, st.sampled_from(sorted(ZONES)), st.data())
@settings(max_examples=200, deadline=None)
def test_looking_from_between_two_runs_gives_the_later_one(fields: Fields, zone: str, data: st.DataObject) -> None:
    """H3"""
    schedule = Schedule.parse(fields.text, zone)
    about = data.draw(st.sampled_from([*changes(zone), datetime(2024, 2, 28, tzinfo=UTC)]))
    first = schedule.next_after(about - timedelta(minutes=data.draw(st.integers(-1500, 1500))))
    second = schedule.next_after(first)
    assert second > first
    between = first + timedelta(seconds=data.draw(st.integers(0, int((second - first).total_seconds()) - 1)))
    assert schedule.next_after(between) == second


def spans(low: int, high: int) -> st.SearchStrategy[str]:
    """Items of a column, in the forms that croniter reads too: 5, 5-10, 5-10/2, */3."""
    number = st.integers(low, high)
    ordered = st.tuples(number, number).map(sorted).filter(lambda pair: pair[0] < pair[1])
    span = ordered.map(lambda pair: f"{pair[0]}-{pair[1]}")
    step = st.integers(2, high - low)  # croniter takes a day of */1 for one that is set
    stepped = st.tuples(st.one_of(st.just("*"), span), step).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.lists(st.one_of(number.map(str), span, stepped), min_size=1, max_size=3).map(",".join)


def names_every_weekday(text: str) -> bool:
    """croniter takes such a column for a star, which leaves the other column of days to decide; we take it as it is written."""
    days = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = ("0", "", "6") if span == "*" else span.partition("-")
        days.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return len(days) == 7


STAR = st.just("*")
WEEKDAYS = spans(0, 6).filter(lambda text: not names_every_weekday(text))
DATES = st.one_of(
    st.tuples(spans(1, 28), STAR | spans(1, 12), STAR | WEEKDAYS),
    st.tuples(STAR | st.just("L"), STAR | spans(1, 12), STAR),
    st.tuples(STAR, STAR | spans(1, 12), st.sampled_from(["mon#1", "fri#2", "sun#3", "1#2,5#4"])),
)


@given(spans(0, 59), STAR | spans(0, 59), STAR | spans(0, 23), DATES, st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))
@settings(max_examples=200, deadline=None)
def test_in_utc_a_schedule_agrees_with_croniter(
    second: str, minute: str, hour: str, dates: tuple[str, str, str], moment: datetime
) -> None:
    """H19"""
    text = " ".join([second, minute, hour, *dates])
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    other = croniter(text, moment, second_at_beginning=True, max_years_between_matches=100)
    schedule, found = Schedule.parse(text), moment
    for _ in range(5):
        found = schedule.next_after(found)
        assert found == other.get_next(datetime), text
