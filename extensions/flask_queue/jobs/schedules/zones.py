"""Time zones by their IANA names, and what a wall time means in one of them.

Apart so that the rules for missing and repeated hours read in `schedule.py` without the arithmetic. The names come from the
tzdata package, so that a host without a zone database of its own knows the same ones.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_LOOKS_LIKE_A_ZONE = r"(?!SAT|LAST|FIRST)[A-Z]{2,4}T|[A-Z]+(?:/[A-Z_+-]+[0-9]*)+|(?:UTC|GMT)?[+-][0-9:]+"


@cache
def _names() -> dict[str, str]:
    """Every IANA name, by its lower-case form."""
    names = (files("tzdata") / "zones").read_text("ascii").split()
    return {name.lower(): name for name in names}


def find_zone(name: str) -> ZoneInfo | None:
    """Give the zone of this IANA name, in any case, or None: EST is one, EDT, PST and CST are not."""
    known = _names().get(name.lower())
    return ZoneInfo(known) if known else None


def looks_like_a_zone(word: str) -> bool:
    """Whether whoever wrote this word probably meant a time zone."""
    return re.fullmatch(_LOOKS_LIKE_A_ZONE, word, re.IGNORECASE) is not None


def wall_time(instant: datetime, zone: ZoneInfo) -> datetime:
    """Read the wall clock of the zone, as a naive time."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def instants(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Give when the wall clock shows this time, as (one, other).

    They are the same as a rule, `one < other` where the clock was set back and shows it twice, and `one > other` where the
    clock was set forward and never shows it: then the change lies between `other` and `one`.
    """
    one = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    other = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return one, other


def change_of_clocks(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the first instant with the offset of `after`, given one before and one after a single change."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
