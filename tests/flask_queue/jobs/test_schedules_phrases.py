"""What a schedule may look like, and the cron it stands for (H16 to H21, H23, H24)."""

from __future__ import annotations

import time

import pytest

from flask_queue.errors import InvalidScheduleError, QueueError
from flask_queue.jobs.schedules import Schedule

pytestmark = pytest.mark.behaviour("H16", "H17", "H18", "H19", "H20", "H21", "H23", "H24")

INTERVALS = {
    "every second": "* * * * * *",
    "every 1 second": "* * * * * *",
    "every 15 seconds": "*/15 * * * * *",
    "every 15 sec": "*/15 * * * * *",
    "every 15s": "*/15 * * * * *",
    "every minute": "* * * * *",
    "every 5 min": "*/5 * * * *",
    "every 5m": "*/5 * * * *",
    "every 10 minutes": "*/10 * * * *",
    "Every TEN Minutes": "*/10 * * * *",
    "every 7 minutes": "*/7 * * * *",
    "every hour": "0 * * * *",
    "every 1 h": "0 * * * *",
    "every 3h": "0 */3 * * *",
    "every 3 hours": "0 */3 * * *",
    "every 17 hours": "0 */17 * * *",
    "every day": "0 0 * * *",
    "every 2 days": "0 0 */2 * *",
    "every week": "0 0 * * 0",
    "every month": "0 0 1 * *",
    "every 4 months": "0 0 1 */4 *",
    "every year": "0 0 1 1 *",
    "every 60 seconds": "* * * * *",
    "every 60 minutes": "0 * * * *",
    "every 120 minutes": "0 */2 * * *",
    "every 24 hours": "0 0 * * *",
    "every 12 months": "0 0 1 1 *",
    "every 86400 seconds": "0 0 * * *",
}
TIMES_OF_DAY = {
    "every day at 9am": "0 9 * * *",
    "EVERY DAY AT 9AM": "0 9 * * *",
    "  every   day at  9am ": "0 9 * * *",
    "every day at 16:30": "30 16 * * *",
    "every day at 8:30": "30 8 * * *",
    "every day at 08:30 pm": "30 20 * * *",
    "every day at 5 pm": "0 17 * * *",
    "every day at five": "0 5 * * *",
    "every day at five pm": "0 17 * * *",
    "every day at noon": "0 12 * * *",
    "every day at midnight": "0 0 * * *",
    "every day at 12 noon": "0 12 * * *",
    "every day at 12 midnight": "0 0 * * *",
    "every day at 12am": "0 0 * * *",
    "every day at 12pm": "0 12 * * *",
    "every day at 12:15am": "15 0 * * *",
    "every day at 12:15 pm": "15 12 * * *",
    "every day at 00:40 and 15:40": "40 0,15 * * *",
    "every day at 18:00 and 18:15": "0,15 18 * * *",
    "every day at 18:00, 18:15, 20:00, and 20:15": "0,15 18,20 * * *",
    "every day at 6pm and at 8pm": "0 18,20 * * *",
    "at noon": "0 12 * * *",
    "at 12 PM": "0 12 * * *",
}
DAYS = {
    "every weekday": "0 0 * * 1-5",
    "every weekday at five": "0 5 * * 1-5",
    "every business day at five": "0 5 * * 1-5",
    "every weekend at noon": "0 12 * * 0,6",
    "every Thursday at 1 AM": "0 1 * * 4",
    "every monday": "0 0 * * 1",
    "every monday 18:24": "24 18 * * 1",
    "on mondays at 9am": "0 9 * * 1",
    "every week on monday 18:23": "23 18 * * 1",
    "every friday and thursday": "0 0 * * 4,5",
    "every Mon, Tue, and Wed at 18:15": "15 18 * * 1,2,3",
    "every wed or Monday at 5pm and 11": "0 11,17 * * 1,3",
    "mon-thu at 18:20": "20 18 * * 1-4",
    "every mon-thu at 18:20": "20 18 * * 1-4",
    "every Mon to Thu, 18:20": "20 18 * * 1-4",
    "from Monday through Friday at 19:21": "21 19 * * 1-5",
    "every 2 days at 17:00": "0 17 */2 * *",
    "every 5 days starting at day 3": "0 0 3/5 * *",
    "1st of the month at midnight": "0 0 1 * *",
    "every 1st of the month at midnight": "0 0 1 * *",
    "every first of the month at midnight": "0 0 1 * *",
    "every second of the month at 10:00": "0 10 2 * *",
    "every 15th of the month": "0 0 15 * *",
    "last day of the month at noon": "0 12 L * *",
    "month on day 2 and 5 at 10:00": "0 10 2,5 * *",
    "every month on day 2 and 5 at 10:00": "0 10 2,5 * *",
    "every month on days 1,15 at 10:00": "0 10 1,15 * *",
    "every month on the 1st and the second at 12:00 pm": "0 12 1,2 * *",
    "every month on the 1st and last at 12:00 pm": "0 12 1,L * *",
    "every 3 months on the 15th at noon": "0 12 15 */3 *",
    "every month at 19:10": "10 19 1 * *",
    "every year at 20:10": "10 20 1 1 *",
    "every day at noon from the 25th to the last": "0 12 25-L * *",
}
WITHIN_HOURS = {
    "every hour at min 11": "11 * * * *",
    "every 12 hours at minute 50": "50 */12 * * *",
    "every minute at second 10 and 40": "10,40 * * * * *",
    "every 15 minutes starting at minute 1": "1/15 * * * *",
    "weekday 8am to 5pm": "0 8-17 * * 1-5",
    "every weekday 8am to 5pm": "0 8-17 * * 1-5",
    "every weekday 8am to 5pm on the hour": "0 8-17 * * 1-5",
    "every weekday 8am to 5pm on the minute": "* 8-16 * * 1-5",
    "every weekday 8am to 5pm on minute 10 and 30": "10,30 8-16 * * 1-5",
    "every hour, from 8am to 5pm": "0 8-17 * * *",
    "every 2 hours from 8am to 6pm": "0 8-18/2 * * *",
    "every minute from 8am to 5pm": "* 8-16 * * *",
    "every 10 minutes between 8am and 5pm on weekdays": "*/10 8-16 * * 1-5",
    "every hour from 10pm to 4am": "0 22-4 * * *",
    "every minute from 10pm to midnight": "* 22-23 * * *",
}
CRON = {
    "* * * * *": "* * * * *",
    "*/15 * * * * *": "*/15 * * * * *",
    "  5  4  *  *  SUN ": "5 4 * * 0",
    "0 9 * jan,Dec mon-FRI": "0 9 * 1,12 1-5",
    "0 9 * september thursday": "0 9 * 9 4",
    "0 0 l * *": "0 0 L * *",
    "0 0 * * mon#2": "0 0 * * 1#2",
    "0 0 * * fri#l": "0 0 * * 5#L",
    "0 0 * * 7": "0 0 * * 7",
    "0 0 * * fri-mon": "0 0 * * 5-1",
    "5/15 8-17/3 1-10,20 */2 *": "5/15 8-17/3 1-10,20 */2 *",
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@Daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
WITH_ZONE = {
    "every day at 1am EST": ("0 1 * * * EST", "EST"),
    "every day at 5 pm in Asia/Tokyo": ("0 17 * * * Asia/Tokyo", "Asia/Tokyo"),
    "every day at 5 pm on America/Bogota": ("0 17 * * * America/Bogota", "America/Bogota"),
    "every day at midnight america/los_angeles": ("0 0 * * * America/Los_Angeles", "America/Los_Angeles"),
    "every day at 6pm and 8pm UTC": ("0 18,20 * * * UTC", "UTC"),
    "every day at 5 pm in Etc/GMT-11": ("0 17 * * * Etc/GMT-11", "Etc/GMT-11"),
    "0 9 * * mon-fri Europe/Berlin": ("0 9 * * 1-5 Europe/Berlin", "Europe/Berlin"),
    "*/5 * * * * * UTC": ("*/5 * * * * * UTC", "UTC"),
    "@daily Australia/Lord_Howe": ("0 0 * * * Australia/Lord_Howe", "Australia/Lord_Howe"),
}


@pytest.mark.parametrize(
    ("text", "cron"), [*INTERVALS.items(), *TIMES_OF_DAY.items(), *DAYS.items(), *WITHIN_HOURS.items(), *CRON.items()]
)
def test_a_schedule_stands_for_a_cron(text: str, cron: str) -> None:
    """H16, H17, H18, H19, H23"""
    schedule = Schedule.parse(text)
    assert schedule.cron == cron
    assert schedule.text == str(schedule) == text
    assert schedule.time_zone == "UTC"


@pytest.mark.parametrize(("text", "cron", "zone"), [(text, *expected) for text, expected in WITH_ZONE.items()])
def test_a_zone_at_the_end_wins_over_the_default(text: str, cron: str, zone: str) -> None:
    """H19, H24"""
    schedule = Schedule.parse(text, time_zone="Asia/Kathmandu")
    assert (schedule.cron, schedule.time_zone) == (cron, zone)


def test_without_a_zone_the_default_holds() -> None:
    """H24"""
    schedule = Schedule.parse("every day at 9am", time_zone="Asia/Kathmandu")
    assert (schedule.cron, schedule.time_zone) == ("0 9 * * *", "Asia/Kathmandu")


@pytest.mark.parametrize("text", [*INTERVALS, *TIMES_OF_DAY, *DAYS, *WITHIN_HOURS, *CRON, *WITH_ZONE])
def test_the_cron_of_a_schedule_means_the_same(text: str) -> None:
    schedule = Schedule.parse(text)
    again = Schedule.parse(schedule.cron)
    assert again.cron == schedule.cron
    assert again.time_zone == schedule.time_zone


REFUSED = [
    "",
    "   ",
    "once a year",
    "tomorrow",
    "every 1.minute",
    "every",
    "every 0 minutes",
    "every 90 minutes",
    "every 2 weeks",
    "every 40 days",
    "every 5M",
    "every day at 25:00",
    "every day at 9:75",
    "every day at 13pm",
    "every day at 0am",
    "every day at minute 5",
    "every 10 minutes at 5pm",
    "every hour at 5pm",
    "every 2 days on monday",
    "every monday on the 1st",
    "every month on monday",
    "every day every hour",
    "every weekday 8:30am to 5pm",
    "every day 8am to 8am",
    "every hour on the minute",
    "every 15 minutes starting at hour 2",
    "on the hour",
    "every day at noon please",
    "every day at noon and",
    "every day, at noon,",
    "every blue moon",
    "* * * *",
    "* * * * * * *",
    "* 25 * * *",
    "* 24 * * *",
    "60 * * * *",
    "60 * * * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 13 *",
    "* * * 0 *",
    "* * * * 8",
    "* * * * mon#6",
    "* * * * mon#0",
    "* * * * foo",
    "* * * ma *",
    "mon * * * *",
    "*/0 * * * *",
    "*/61 * * * *",
    "*-5 * * * *",
    "1- * * * *",
    ",1 * * * *",
    "1,,2 * * * *",
    "-5 * * * *",
    "1.5 * * * *",
    "L * * * *",
    "0 0 L-3 * *",
    "0 0 ? * 1",
    "٣ * * * *",
    "@reboot",
    "@every 5m",
    "0 0 31 2 *",
    "0 0 30 feb *",
    "0 0 31 4,6,9,11 *",
]


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    """H20"""
    with pytest.raises(InvalidScheduleError, match="Schedule is not a supported recurring schedule") as refusal:
        Schedule.parse(text)
    assert f"'{text}'" in str(refusal.value)
    assert "every 10 minutes" in str(refusal.value)
    assert isinstance(refusal.value, QueueError)


@pytest.mark.parametrize(
    "zone", ["EDT", "PST", "CST", "Mars/Olympus", "UTC+2", "+02:00", "../etc/passwd", "America/", "Europe/berlin\x00"]
)
@pytest.mark.parametrize("schedule", ["every day at 1am", "0 1 * * *"])
def test_a_zone_that_is_none_is_refused_and_never_read_as_utc(schedule: str, zone: str) -> None:
    """H20, H24"""
    with pytest.raises(InvalidScheduleError, match="Schedule is not a supported recurring schedule") as refusal:
        Schedule.parse(f"{schedule} {zone}")
    assert zone in str(refusal.value)


@pytest.mark.parametrize("zone", ["EDT", "PST", "CST", "Mars/Olympus", "UTC+2"])
def test_a_wrong_zone_is_called_one(zone: str) -> None:
    with pytest.raises(InvalidScheduleError, match="is not a time zone"):
        Schedule.parse(f"every day at 1am {zone}")


@pytest.mark.parametrize("text", ["every day", "every day at 9am Europe/Berlin"])
def test_a_wrong_default_zone_is_refused(text: str) -> None:
    """Also where the text names one: what is stored is shown."""
    with pytest.raises(InvalidScheduleError, match="'Nowhere' is not an IANA name"):
        Schedule.parse(text, time_zone="Nowhere")


@pytest.mark.parametrize(
    "text", ["every day at 00:40 and 15:20", "every day at 18:15 and 20:45", "every monday at 9am, 10am and 9:30am"]
)
def test_times_that_need_two_crons_are_refused(text: str) -> None:
    """H21"""
    with pytest.raises(InvalidScheduleError, match="generates multiple cron schedules") as refusal:
        Schedule.parse(text)
    assert "Please use separate recurring tasks" in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "every " * 20_000,
        "every day at 9am" + " and 9am" * 14_000,
        "1," * 50_000 + "1 * * * *",
        "every" + " " * 100_000,
        "every day at " + "9" * 100_000,
        " ,and" * 25_000,
        "*" * 100_000,
        "\ud800" * 100_000,
        "every " * 83,
        "every day at 9am" + ",9am" * 115 + ",",
        "9" * 490 + " * * * *",
        "every " + "9" * 490 + " minutes",
        "on " + "1st," * 120 + "x",
        "1," * 240 + " * * * *",
        "-" * 499,
        " , and" * 80,
        "0 0 30 2 *",
        "59 59 23 31 2,4,6,9,11 *",
    ],
)
def test_hostile_and_hopeless_texts_are_refused_quickly(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidScheduleError) as refusal:
        Schedule.parse(text)
    assert time.perf_counter() - started < 0.5
    assert len(str(refusal.value)) < 2_000
