"""When a schedule is due, above all where the clocks change (H3, H19, H24 to H27)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from flask_queue.errors import InvalidScheduleError
from flask_queue.jobs.schedules import Schedule

pytestmark = pytest.mark.behaviour("H24", "H25", "H26", "H27")

HOUR = timedelta(hours=1)


def due(schedule: str, after: str, until: str) -> list[str]:
    """The instants of a schedule, as UTC texts without a zone."""
    found = Schedule.parse(schedule).occurrences(datetime.fromisoformat(after), datetime.fromisoformat(until))
    return [instant.strftime("%Y-%m-%d %H:%M:%S") for instant in found]


def next_after(schedule: str, moment: str) -> str:
    return Schedule.parse(schedule).next_after(datetime.fromisoformat(moment)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-01 01:28:00", "2026-01-01 01:29:00"),
        ("2026-01-01 01:27:59", "2026-01-01 01:28:00"),
        ("2026-01-01 01:27:59.999999", "2026-01-01 01:28:00"),
        ("2026-01-01 01:28:00.000001", "2026-01-01 01:29:00"),
        ("2026-12-31 23:59:30", "2027-01-01 00:00:00"),
        ("2026-01-01 01:28:00+01:00", "2026-01-01 00:29:00"),
    ],
)
def test_next_is_strictly_after(moment: str, expected: str) -> None:
    """H3"""
    assert next_after("every minute", moment) == expected


def test_next_is_aware_and_in_utc() -> None:
    tokyo = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    assert Schedule.parse("every day at 9am Asia/Tokyo").next_after(tokyo) == datetime(2026, 5, 2, 0, 0, tzinfo=UTC)
    assert Schedule.parse("every day").next_after(tokyo).tzinfo is UTC


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/20 * * * * *", ["2026-06-15 10:00:20", "2026-06-15 10:00:40", "2026-06-15 10:01:00"]),
        ("30 */5 * * * *", ["2026-06-15 10:00:30", "2026-06-15 10:05:30", "2026-06-15 10:10:30"]),
        ("*/7 * * * *", ["2026-06-15 10:07:00", "2026-06-15 10:14:00", "2026-06-15 10:21:00"]),
        ("every 17 hours", ["2026-06-15 17:00:00", "2026-06-16 00:00:00", "2026-06-16 17:00:00"]),
        ("0 0 L * *", ["2026-06-30 00:00:00", "2026-07-31 00:00:00", "2026-08-31 00:00:00"]),
        ("0 0 25-L 2 *", ["2027-02-25 00:00:00", "2027-02-26 00:00:00", "2027-02-27 00:00:00"]),
        ("0 0 * * mon#2", ["2026-07-13 00:00:00", "2026-08-10 00:00:00", "2026-09-14 00:00:00"]),
        ("0 0 * * fri#L", ["2026-06-26 00:00:00", "2026-07-31 00:00:00", "2026-08-28 00:00:00"]),
        ("0 0 * * 7", ["2026-06-21 00:00:00", "2026-06-28 00:00:00", "2026-07-05 00:00:00"]),
        ("0 0 * * sat-7", ["2026-06-20 00:00:00", "2026-06-21 00:00:00", "2026-06-27 00:00:00"]),
        ("0 0 * * fri-mon", ["2026-06-19 00:00:00", "2026-06-20 00:00:00", "2026-06-21 00:00:00"]),
        ("0 22-1 * * *", ["2026-06-15 22:00:00", "2026-06-15 23:00:00", "2026-06-16 00:00:00"]),
        ("0 0 20 * fri", ["2026-06-19 00:00:00", "2026-06-20 00:00:00", "2026-06-26 00:00:00"]),
        ("0 0 20 dec-jan *", ["2026-12-20 00:00:00", "2027-01-20 00:00:00", "2027-12-20 00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]),
    ],
)
def test_the_fields_of_cron(schedule: str, expected: list[str]) -> None:
    """H19, H23"""
    moment, found = "2026-06-15 10:00:00", []
    for _ in expected:
        moment = next_after(schedule, moment)
        found.append(moment)
    assert found == expected


def test_the_rarest_date_is_found() -> None:
    assert next_after("0 0 * 2 mon#5", "2080-01-01") == "2112-02-29 00:00:00"


@pytest.mark.parametrize(
    ("schedule", "january", "july"),
    [
        ("every day at 1am EST", "06:00", "06:00"),
        ("every day at 1am America/New_York", "06:00", "05:00"),
        ("every day at 1am MST", "08:00", "08:00"),
        ("every day at 1am UTC", "01:00", "01:00"),
        ("every day at 1am", "01:00", "01:00"),
        ("0 1 * * * Asia/Kathmandu", "19:15", "19:15"),
    ],
)
def test_zones_in_january_and_july(schedule: str, january: str, july: str) -> None:
    """H24"""
    assert next_after(schedule, "2026-01-10 00:30:00")[11:16] == january
    assert next_after(schedule, "2026-07-10 00:30:00")[11:16] == july


def test_a_repeated_time_of_day_fires_the_first_time_only() -> None:
    """H25"""
    assert due("30 1 * * * America/New_York", "2026-11-01 04:00:00", "2026-11-02 23:00:00") == [
        "2026-11-01 05:30:00",
        "2026-11-02 06:30:00",
    ]


@pytest.mark.parametrize("minutes", range(0, 121, 15))
def test_a_repeated_time_stays_past_from_wherever_one_looks(minutes: int) -> None:
    """H25"""
    moment = datetime(2026, 11, 1, 5, 30) + timedelta(minutes=minutes)
    expected = datetime(2026, 11, 2, 6, 30, tzinfo=UTC)
    assert Schedule.parse("30 1 * * * America/New_York").next_after(moment) == expected


def test_the_time_at_which_a_repeated_hour_ends_is_not_lost() -> None:
    assert next_after("0 2 * * * America/New_York", "2026-11-01 06:30:00") == "2026-11-01 07:00:00"
    assert next_after("0 2 * * * America/New_York", "2026-11-01 07:00:00") == "2026-11-02 07:00:00"


def test_a_skipped_time_of_day_fires_right_after_the_gap() -> None:
    """H26"""
    assert due("30 2 * * * America/New_York", "2026-03-07 12:00:00", "2026-03-09 12:00:00") == [
        "2026-03-08 07:00:00",
        "2026-03-09 06:30:00",
    ]


def test_several_times_in_one_gap_fire_once() -> None:
    """H26"""
    assert due("*/10 2 * * * America/New_York", "2026-03-07 12:00:00", "2026-03-08 12:00:00") == ["2026-03-08 07:00:00"]
    assert due("0,30 2-3 * * * America/New_York", "2026-03-07 12:00:00", "2026-03-08 12:00:00") == [
        "2026-03-08 07:00:00",
        "2026-03-08 07:30:00",
    ]


@pytest.mark.parametrize(
    ("schedule", "day", "runs"),
    [
        ("0 * * * *", "2026-11-01", 25),
        ("every hour", "2026-11-01", 25),
        ("30 0-23 * * *", "2026-11-01", 25),
        ("every 10 minutes", "2026-11-01", 150),
        ("*/15 * * * * *", "2026-11-01", 25 * 240),
        ("0 * * * *", "2026-03-08", 23),
        ("45 * * * *", "2026-03-08", 23),
        ("every 10 minutes", "2026-03-08", 138),
        ("30 1 * * *", "2026-11-01", 1),
        ("30 1 * * *", "2026-03-08", 1),
        ("30 2 * * *", "2026-03-08", 1),
        ("every 2 hours", "2026-11-01", 12),
        ("every 2 hours", "2026-03-08", 12),
        ("*/30 8-17 * * *", "2026-11-01", 20),
    ],
)
def test_runs_on_the_days_of_23_and_25_hours(schedule: str, day: str, runs: int) -> None:
    """H25, H26, H27"""
    new_york = Schedule.parse("every day America/New_York")
    start = new_york.next_after(datetime.fromisoformat(day))
    end = new_york.next_after(start)
    assert abs(end - start - 24 * HOUR) == HOUR
    instant = timedelta(microseconds=1)
    schedule_there = Schedule.parse(schedule, time_zone="America/New_York")
    assert len(list(schedule_there.occurrences(start - instant, end - instant))) == runs


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [
        ("0 * * * *", "America/New_York"),
        ("30 * * * *", "Europe/Berlin"),
        ("every hour", "America/St_Johns"),
        ("at minute 59 every hour", "Atlantic/Azores"),
    ],
)
def test_an_hourly_task_never_waits_longer_than_an_hour(schedule: str, zone: str) -> None:
    """H27"""
    moments = list(Schedule.parse(schedule, zone).occurrences(datetime(2026, 1, 1), datetime(2027, 1, 1)))
    assert {later - earlier for earlier, later in pairwise(moments)} == {HOUR}
    assert len(moments) == 8760


def test_a_gap_at_midnight_does_not_lose_the_day() -> None:
    assert due("0 0 * * * Africa/Cairo", "2026-04-23 00:00:00", "2026-04-25 00:00:00") == [
        "2026-04-23 22:00:00",
        "2026-04-24 21:00:00",
    ]


def test_a_gap_of_half_an_hour() -> None:
    assert due("15 2 * * * Australia/Lord_Howe", "2026-10-02 20:00:00", "2026-10-05 00:00:00") == [
        "2026-10-03 15:30:00",
        "2026-10-04 15:15:00",
    ]


def test_a_date_that_a_country_skipped_fires_when_it_is_over() -> None:
    """Samoa had no 30 December 2011: at the end of the 29th the clocks went on to the 31st."""
    assert due("0 9 30 12 * Pacific/Apia", "2011-12-01", "2012-02-01") == ["2011-12-30 10:00:00"]


def test_occurrences_leave_out_the_start_and_take_in_the_end() -> None:
    assert due("every hour", "2026-01-01 01:00:00", "2026-01-01 03:00:00") == ["2026-01-01 02:00:00", "2026-01-01 03:00:00"]
    assert due("every hour", "2026-01-01 01:00:00", "2026-01-01 01:30:00") == []


@pytest.mark.parametrize("schedule", ["every day", "every hour America/New_York", "0 0 29 2 *", "30 1 * * * Asia/Tokyo"])
def test_the_end_of_the_calendar_is_an_error_and_not_a_crash(schedule: str) -> None:
    with pytest.raises(InvalidScheduleError, match="before the year 10000"):
        Schedule.parse(schedule).next_after(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


def test_schedules_are_values() -> None:
    one, same = Schedule.parse("every day EST"), Schedule.parse("every day EST")
    assert one == same
    assert hash(one) == hash(same)
    assert one != Schedule.parse("every day")
    assert Schedule.parse("every day", "EST") != Schedule.parse("every day", "UTC")
    with pytest.raises(AttributeError):
        one.text = "every hour"  # type: ignore[misc]


@pytest.mark.parametrize(
    "schedule", ["every second", "every 10 minutes America/New_York", "30 2 * * * America/New_York", "0 0 29 2 mon#5"]
)
def test_next_takes_well_under_a_millisecond(schedule: str) -> None:
    parsed = Schedule.parse(schedule)
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    started = time.process_time()
    for _ in range(200):
        moment = parsed.next_after(moment)
    assert (time.process_time() - started) / 200 < 0.001
