"""Filters of the lists: read from an address or a form, carried along by links and by bulk actions, turned into conditions.

Apart so that what a page shows and what its bulk buttons do are one reading of the same fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..models import State
from .listings import Listing

#: Filters that every list has, and what some have besides.
COMMON = ("queue", "name", "search")
SPECIAL: Mapping[State, tuple[str, ...]] = {
    State.FAILED: ("error_class",),
    State.FINISHED: ("finished_after", "finished_before"),
}


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to.

    :param texts: the fields as they were written, none of them empty
    :param values: the same, as the queue understands them: moments are aware datetimes
    :param problems: what could not be understood, in words
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.texts)

    def without(self, name: str) -> dict[str, str]:
        """The fields for a link that takes one filter away."""
        return {key: text for key, text in self.texts.items() if key != name}


def fields_of(listing: Listing) -> tuple[str, ...]:
    """The names of the filters that a list has."""
    return COMMON + SPECIAL.get(listing.state, ())


def read(source: Mapping[str, str], listing: Listing, zone: ZoneInfo, *, may_search: bool) -> Filters:
    """The filters in the query or form `source`.

    :param zone: of times without one
    :param may_search: whether arguments may be searched. They are as they are stored: whoever searches can find out, letter by
        letter, what `QUEUE_FILTER_ARGUMENTS` hides.
    """
    texts = {name: source.get(name, "").replace("\0", "").strip() for name in fields_of(listing)}  # PostgreSQL refuses NUL
    texts = {name: text for name, text in texts.items() if text}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in texts.items():
        if name == "search" and not may_search:
            problems.append("Only an admin may search arguments, for they are searched with what is hidden in them.")
            continue
        try:
            values[name] = moment(text, zone) if name.startswith("finished_") else text
        except ValueError:
            problems.append(f"“{text}” is not a date and time such as 2030-12-31T18:30.")
    return Filters(texts, values, tuple(problems))


def moment(text: str, zone: ZoneInfo) -> datetime:
    """A moment as a browser's field for date and time gives it, in UTC.

    :raises ValueError: if it is none
    """
    parsed = datetime.fromisoformat(text)
    try:
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:  # the first and the last day of the calendar
        raise ValueError(text) from error


def only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of `values` that are called so."""
    return {name: values[name] for name in names if name in values}
