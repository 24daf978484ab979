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

from ..errors import ConfigurationError, QueueError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

Parser = Callable[[Any], Any]
T = TypeVar("T")

#: What fits the database's integer columns, and is more seconds than anybody waits.
LARGEST = 2**31 - 1
#: How many characters fit a column of names.
NAME_LENGTH = 255

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


def checked(what: str, value: Any, parse: Callable[[Any], T], error: type[QueueError] = ConfigurationError) -> T:
    """What `parse` makes of a value that a program gave as `what`.

    :raises QueueError: an `error` that says what is allowed, when it is refused.
    """
    try:
        return parse(value)
    except Refused as refused:
        raise error(f"{what}={value!r}: {refused}.") from None


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


def integer(minimum: int, maximum: int) -> Parser:
    """A whole number within bounds, as a program has it."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise Refused(f"a whole number from {minimum} to {maximum}")
        return int(value)

    return parse


def whole_number(minimum: int, maximum: int) -> Parser:
    """A whole number within bounds, also as the text or the `3.0` that a file has."""
    within = integer(minimum, maximum)

    def parse(value: Any) -> int:
        number = _number(value)
        return int(within(int(number) if number is not None and number.is_integer() else value))

    return parse


#: A priority fits 32 bits, as its column does: what a program may give, and what a file.
_PRIORITIES = (-LARGEST - 1, LARGEST)
priority = integer(*_PRIORITIES)
written_priority = whole_number(*_PRIORITIES)


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


def flag(value: Any) -> bool:
    """True or false, as a program has it."""
    if not isinstance(value, bool):
        raise Refused("True or False")
    return value


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
    if not isinstance(value, str) or not value.strip() or len(value) > NAME_LENGTH:
        raise Refused(f"text of 1 to {NAME_LENGTH} characters")
    return value.strip()


def task_key(value: Any) -> str:
    """What a recurring task is called, to the letter."""
    if not isinstance(value, str) or not _is_name(value):
        raise Refused(f"1 to {NAME_LENGTH} printable characters")
    return value


def _is_name(value: str) -> bool:
    return 1 <= len(value) <= NAME_LENGTH and value.isprintable()


def job_name(value: Any) -> str:
    """What a job is called, without the spaces around it."""
    return task_key(value.strip() if isinstance(value, str) else value)


def queue_name(value: Any) -> str:
    """The name of one queue, without the spaces around it: `*` and `,` belong to the language of a worker's `queues`."""
    name = job_name(value)
    if "*" in name or "," in name:
        raise Refused("a queue's name, which has neither * nor comma")
    return name


def selectors(queues: Iterable[str]) -> list[str]:
    """The single entries of a worker's `queues`, each of which may be several with commas between them."""
    return [name.strip() for entry in queues for name in entry.split(",") if name.strip()]


def complaint_of_selector(selector: str) -> str | None:
    """Why an entry of a worker's `queues` selects nothing; None for one that may select something."""
    if "*" in selector[:-1]:
        return f"{selector!r} is ignored: only a * at the end stands for all that begin so"
    if selector == "*" or _is_name(selector.removesuffix("*")):
        return None
    return f"{selector!r} is ignored: a queue's name is 1 to {NAME_LENGTH} printable characters"


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
