"""Read one value of a setting or an option: from text, YAML or Python to what the code works with, or say what is allowed.

Apart from the settings and the files, because both come with the same kinds of value: an environment variable is text, YAML has
numbers, and Python may have a timedelta.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

Parser = Callable[[Any], Any]

#: What fits the database's integer columns, and is more seconds than anybody waits.
LARGEST = 2**31 - 1

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off", "")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
#: NUL, which PostgreSQL cannot hold, and halves of characters, which no UTF-8 has.
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
_DURATION = re.compile(r"(?P<count>\d+(?:\.\d+)?)\s*(?P<unit>second|minute|hour|day|week)s?", re.IGNORECASE)


class Refused(Exception):
    """A value is not allowed. The message says what is, to stand after "must be"."""


def option(default: Any, parse: Parser) -> Any:
    """A field of a dataclass that `read` knows how to fill."""
    return field(default=default, metadata={"parse": parse})


def read(kind: type[Record], given: Mapping[str, Any], refuse: Callable[[str, str], None], **more: Any) -> Record:
    """Make a `kind` of what is given; call `refuse(name, allowed)` for each value that is not allowed.

    What is absent has its default. So has `None`, for YAML writes an empty option as nothing.
    """
    values = dict(more)
    for one in fields(kind):
        if one.name in values or "parse" not in one.metadata or given.get(one.name) is None:
            continue
        try:
            values[one.name] = one.metadata["parse"](given[one.name])
        except Refused as refused:
            refuse(one.name, str(refused))
    return kind(**values)


def options_of(kind: type[DataclassInstance]) -> list[str]:
    """The names that `read` understands."""
    return [one.name for one in fields(kind) if "parse" in one.metadata]


def closest(unknown: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that somebody who wrote `unknown` most likely meant."""
    return next(iter(difflib.get_close_matches(unknown, list(known), n=1, cutoff=cutoff)), None)


def unknown_option(name: str, known: Iterable[str]) -> str:
    """A complaint about an option that does not exist."""
    known = list(known)
    meant = closest(name, known)
    return f"unknown option, did you mean {meant}?" if meant else f"unknown option; there are {', '.join(known)}"


# --- the kinds of value ---------------------------------------------------------------------------


def whole_number(minimum: int, maximum: int) -> Parser:
    """A number without fraction, within bounds."""

    def parse(value: Any) -> int:
        number = _number(value)
        if number is None or not number.is_integer() or not minimum <= number <= maximum:
            raise Refused(f"a whole number from {minimum} to {maximum}")
        return int(number)

    return parse


#: A priority fits 32 bits, as its column does.
priority = whole_number(-(2**31), LARGEST)


def duration(*, zero: bool = False, days: int | None = None) -> Parser:
    """A length of time as seconds: from a number, a timedelta, or words as "5 minutes".

    :param days: the longest that is allowed.
    """
    limit = f", up to {days} days" if days is not None else ""
    allowed = f'a number of seconds{", 0 or more" if zero else " above 0"}{limit} (or "5 minutes")'
    longest = LARGEST if days is None else days * 86400

    def parse(value: Any) -> float:
        seconds = _seconds(value)
        if seconds is None or not (seconds >= 0 if zero else seconds > 0) or seconds > longest:
            raise Refused(allowed)
        return seconds

    return parse


def boolean(value: Any) -> bool:
    """True or false, also as the text that an environment variable is."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in _TRUE + _FALSE:
        raise Refused("true or false")
    return text in _TRUE


def text(value: Any) -> str:
    """Text that is not empty and fits its column."""
    if not isinstance(value, str) or not value.strip() or len(value) > 255:
        raise Refused("text of 1 to 255 characters")
    return value.strip()


def queue_name(value: Any) -> str:
    """The name of one queue: `*` and `,` belong to the language of a worker's `queues`."""
    name = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(name) <= 255 or not name.isprintable() or "*" in name or "," in name:
        raise Refused("a queue's name: 1 to 255 printable characters without * and comma")
    return name


def long_text(value: Any) -> str:
    """Text for people, of any length."""
    if not isinstance(value, str) or _NOT_STORABLE.search(value):
        raise Refused("text without NUL and other characters that cannot be stored")
    return value


def choice(*allowed: str) -> Parser:
    """One of a few words."""

    def parse(value: Any) -> str:
        if value not in allowed:
            raise Refused(" or ".join(f'"{word}"' for word in allowed))
        return str(value)

    return parse


def names(value: Any) -> tuple[str, ...]:
    """One or more names: a list, or text with commas."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in given):
        raise Refused("a name, or a list of names (in quotes, if YAML takes them for something else)")
    found = tuple(name.strip() for name in given if name.strip())
    if not found:
        raise Refused("at least one name")
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seconds(value: Any) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and (words := _DURATION.fullmatch(value.strip())):
        return float(words["count"]) * _UNITS[words["unit"].lower()]
    return _number(value)
