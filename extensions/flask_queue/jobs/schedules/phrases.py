"""English phrases as cron: "every weekday at five" is `0 5 * * 1-5`.

Apart from `cron.py` because a phrase is only another way of writing one. It is read in three steps: bring the words into one
form, cut the phrase into clauses (each a row of `_CLAUSES`), and write what they said as six columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .cron import WEEKDAY

Said = dict[str, str]
"""What the clauses of a phrase said, by the names of their groups."""

_SPELLED = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_ORDINALS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "last": "L"}

_UNIT = r"s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?|months?|y(?:ears?)?"
_TIME = r"[0-9]{1,2}(?::[0-9]{2})?(?:[ap]m)?"
_PLAIN_TIME = r"[0-9]{1,2}(?::[0-9]{2}(?:[ap]m)?|[ap]m)"
_NUMBERS = r"[0-9]{1,2}(?:[,-][0-9]{1,2})*"
_DAY = r"(?:sun|mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?)(?:days?)?"
_NTH = r"(?:[0-9]{1,2}(?:st|nd|rd|th)|" + "|".join(_ORDINALS) + ")"

_FORMS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"\b(" + "|".join(_SPELLED) + r")\b", lambda word: str(_SPELLED.index(word[1]))),
    (r"\b(?:12(?::00)? )?(?:noon|midday)\b", lambda _: "12:00"),
    (r"\b(?:12(?::00)? )?midnight\b", lambda _: "0:00"),
    (r"\bthe ", lambda _: ""),
    (r"\b(?:business|biz|week) day", lambda _: "weekday"),
    (r"([0-9]) ([ap]m)\b", lambda match: match[1] + match[2]),
    (r"(?: ?(?:,|\band\b|\bor\b))+ ?", lambda _: ","),
    (r" ?(?:-|\b(?:to|through|until)\b) ?", lambda _: "-"),
)
_CLAUSES = (
    rf"every ?(?P<count>[0-9]+)? ?(?P<unit>{_UNIT})\b(?! of month)",
    r"(?P<unit>month)(?= on )",
    rf"(?:every |from |on )?(?P<weekdays>weekdays?|weekends?|{_DAY}(?:[,-]{_DAY})*)\b",
    rf"(?:every |from |on )?(?P<monthdays>{_NTH}(?:[,-]{_NTH})*)\b(?: day)?(?: of (?:every |each )?month\b)?",
    rf"on days? (?P<monthdays>{_NUMBERS})\b",
    rf"(?:from )?(?P<opens>{_TIME})-(?P<closes>{_TIME})\b",
    rf"between (?P<opens>{_TIME}),(?P<closes>{_TIME})\b",
    rf"(?:at|on) sec(?:ond)?s? (?P<seconds>{_NUMBERS})\b",
    rf"(?:at|on) min(?:ute)?s? (?P<minutes>{_NUMBERS})\b",
    r"on (?P<each>hour|minute)\b",
    rf"(?:starting (?:at|on|from|with)|from) (?P<start_unit>{_UNIT}) (?P<start>[0-9]{{1,2}})\b",
    rf"at (?P<times>{_TIME}(?:,(?:at )?{_TIME})*)\b",
    rf"(?P<times>{_PLAIN_TIME}(?:,{_PLAIN_TIME})*)\b",
)

_COUNTS = {"s": (60, "m"), "m": (60, "h"), "h": (24, "d"), "d": (32, ""), "w": (2, ""), "month": (12, "y"), "y": (2, "")}
"""For each unit the first count that does not fit its column, and the unit that so many make, if any."""

_DATES = {"weekdays", "monthdays"}
_WINDOW = {"opens", "closes"}
_GOES_WITH = {
    "s": {*_DATES, *_WINDOW, "start"},
    "m": {*_DATES, *_WINDOW, "start", "seconds"},
    "h": {*_DATES, *_WINDOW, "start", "minutes", "each"},
    "d": {*_DATES, *_WINDOW, "start", "minutes", "each", "times"},
    "w": {"weekdays", *_WINDOW, "minutes", "each", "times"},
    "month": {"monthdays", *_WINDOW, "start", "minutes", "each", "times"},
    "y": {"times"},
}


class SeveralCrons(ValueError):
    """A phrase that no single cron can say; the message lists the ones it takes."""


def is_phrase(text: str) -> bool:
    """Whether this is meant as words: a cron text begins with a column of numbers or signs, or with an `@alias`."""
    return re.match(r"[0-9*,/-]+(?:\s|$)|@|$", text) is None


def cron_from_phrase(phrase: str) -> str:
    """Write the phrase as cron. ValueError says what is not understood or does not go together."""
    if letter := re.search(r"[0-9] ?M\b", phrase):
        raise ValueError(f"'{letter[0]}' may be minutes or months: write the word")
    said = _clauses(_one_form(phrase))
    count, unit = _interval(said)
    for name in ("weekdays", "monthdays", "times", "opens", "seconds", "minutes", "each", "start"):
        if name in said and name not in _GOES_WITH[unit]:
            raise ValueError(f"'{said[name]}' does not go with the rest")
    step = _step(said, count, unit)
    return " ".join([*_clock_columns(said, step, unit), *_date_columns(said, step, unit)])


def _one_form(phrase: str) -> str:
    """Bring a phrase into one form: lower case, digits for words, commas for "and", hyphens for "to"."""
    phrase = phrase.lower()
    for pattern, form in _FORMS:
        phrase = re.sub(pattern, form, phrase)
    return phrase


def _clauses(phrase: str) -> Said:
    """Read clause after clause until nothing is left."""
    said: Said = {}
    rest = phrase
    while rest:
        match = next((match for clause in _CLAUSES if (match := re.match(clause, rest))), None)
        if match is None:
            raise ValueError(f"'{rest}' is not understood")
        for name, value in match.groupdict().items():
            if value is not None and said.setdefault(name, value) is not value:
                raise ValueError(f"'{match[0]}' is one too many")
        rest = re.sub(r"^[ ,](?=.)", "", rest[match.end() :])
    return said


def _interval(said: Said) -> tuple[int, str]:
    """Give count and unit; 60 minutes are an hour. Days of the week or of the month, or times alone, mean every day."""
    if "unit" not in said and not said.keys() & {"weekdays", "monthdays", "times"}:
        raise ValueError("it does not say how often")
    count, unit = int(said.get("count", 1)), _unit(said.get("unit", "day"))
    while count >= 1:
        limit, larger = _COUNTS[unit]
        if count < limit:
            return count, unit
        if not larger or count % limit:
            break
        count, unit = count // limit, larger
    raise ValueError(f"every {said['count']} {said['unit']} does not fit a clock or a calendar")


def _unit(word: str) -> str:
    return "month" if word.startswith("mo") else word[0]


def _step(said: Said, count: int, unit: str) -> str:
    """Write the count as a column; a grid begins at the start of the next larger unit, or where the phrase says."""
    if "start" not in said:
        return "*" if count == 1 else f"*/{count}"
    if _unit(said["start_unit"]) != unit:
        raise ValueError(f"it counts in one unit and starts at a {said['start_unit']}")
    return f"{said['start']}/{count}"


def _clock_columns(said: Said, step: str, unit: str) -> list[str]:
    """Write (second,) minute and hour."""
    if unit == "s":
        return [step, "*", _window(said, last_hour_included=False)]
    if unit == "m":
        return [*([said["seconds"]] if "seconds" in said else []), step, _window(said, last_hour_included=False)]
    if unit == "h":
        return [_minutes_of_hour(said), _hours_with_step(said, step)]
    return _times_of_day(said)


def _hours_with_step(said: Said, step: str) -> str:
    if "opens" not in said:
        return step
    if step != "*" and not step.startswith("*/"):
        raise ValueError("it says twice when to start")
    return _window(said, last_hour_included=True) + step.removeprefix("*")


def _minutes_of_hour(said: Said) -> str:
    if said.get("each") == "minute" or {"each", "minutes"} <= said.keys():
        raise ValueError("it says twice at which minutes")
    return said.get("minutes", "0")


def _times_of_day(said: Said) -> list[str]:
    if "opens" not in said:
        if said.keys() & {"minutes", "each"}:
            raise ValueError("it names minutes without hours")
        return _times(said.get("times", "0:00").replace("at ", ""))
    if "times" in said:
        raise ValueError(f"'{said['times']}' does not go with a span of hours")
    if said.get("each") == "minute":
        return ["*", _window(said, last_hour_included=False)]
    return [_minutes_of_hour(said), _window(said, last_hour_included="minutes" not in said)]


def _times(text: str) -> list[str]:
    """Write a list of times as one pair of columns, if one pair can say them."""
    times = sorted({_time(time) for time in text.split(",")})
    hours, minutes = (sorted(set(numbers)) for numbers in zip(*times, strict=True))
    if len(times) < len(hours) * len(minutes):
        raise SeveralCrons(" and ".join(f"'{minute} {hour} * * *'" for hour, minute in times))
    return [",".join(map(str, minutes)), ",".join(map(str, hours))]


def _time(text: str) -> tuple[int, int]:
    """Read 9am, 16:30, 12:15am or 5 as (hour, minute)."""
    digits, half = (text[:-2], text[-2:]) if text.endswith("m") else (text, "")
    hour, _, minute = digits.partition(":")
    if int(minute or 0) > 59 or not (1 <= int(hour) <= 12 if half else int(hour) <= 23):
        raise ValueError(f"'{text}' is not a time of day")
    return (int(hour) % 12 + 12 * (half == "pm") if half else int(hour)), int(minute or 0)


def _window(said: Said, *, last_hour_included: bool) -> str:
    """Write a span of hours. At 5pm sharp an hourly task still runs, one that runs each minute has ended."""
    if "opens" not in said:
        return "*"
    (first, early), (last, late) = _time(said["opens"]), _time(said["closes"])
    if early or late or first == last:
        raise ValueError("a span of hours begins and ends on different full hours")
    return f"{first}-{last if last_hour_included else (last - 1) % 24}"


def _date_columns(said: Said, step: str, unit: str) -> list[str]:
    """Write day of the month, month, day of the week."""
    weekday, day = _weekdays(said), _monthdays(said)
    if weekday and day:
        raise ValueError("days of the week and days of the month do not go together: cron would take either")
    if unit == "d" and step != "*" and (weekday or day):
        raise ValueError("it counts days and names some")
    usual = {"d": (step, "*", "*"), "w": ("*", "*", "0"), "month": ("1", step, "*"), "y": ("1", "1", "*")}
    usual_day, month, usual_weekday = usual.get(unit, ("*", "*", "*"))
    return [day or usual_day, month, weekday or usual_weekday]


def _weekdays(said: Said) -> str:
    text = said.get("weekdays", "")
    if text.startswith("week"):
        return "1-5" if text.startswith("weekd") else "0,6"
    return _sorted_list(re.sub(r"[a-z]+", lambda day: str(WEEKDAY.number(day[0].removesuffix("s"))), text))


def _monthdays(said: Said) -> str:
    numbers = re.sub(r"(?<=[0-9])(?:st|nd|rd|th)", "", said.get("monthdays", ""))
    return _sorted_list(re.sub(r"[a-z]+", lambda word: _ORDINALS[word[0]], numbers))


def _sorted_list(column: str) -> str:
    return ",".join(sorted(column.split(","), key=lambda item: (item == "L", int(re.sub(r"\D.*", "", item) or 0))))
