"""Numbers, lengths and moments in words, and tracebacks without the frames of libraries. Pure functions of their arguments."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

#: Counting stops here, so that a page costs the same however many rows there are.
COUNT_CAP = 500_000

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_SHORT = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def capped(number: int, cap: int = COUNT_CAP) -> str:
    """1234 → "1,234"; beyond the cap "500,000+"."""
    return f"{cap:,}+" if number > cap else f"{number:,}"


def plural(number: int, noun: str) -> str:
    """(2, "job") → "2 jobs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A length of time in at most two units: "350 ms", "2.4 s", "3 min 5 s", "2 d 4 h"."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    index = next(i for i, (_, size) in enumerate(_SHORT) if whole >= size)
    unit, size = _SHORT[index]
    words = [f"{whole // size} {unit}"]
    if index + 1 < len(_SHORT):
        small, small_size = _SHORT[index + 1]
        rest = whole % size // small_size
        words += [f"{rest} {small}"] if rest else []
    return " ".join(words)


def relative(moment: datetime, now: datetime) -> str:
    """How far a moment is from now: "in 1 minute", "1 minute ago", "just now"."""
    seconds = (moment - now).total_seconds()
    distance = int(abs(seconds))
    if distance < 1:
        return "just now"
    unit, size = next((unit, size) for unit, size in _UNITS if distance >= size)
    words = f"{distance // size} {unit}{'' if distance // size == 1 else 's'}"
    return f"in {words}" if seconds > 0 else f"{words} ago"


def absolute(moment: datetime, zone: ZoneInfo) -> str:
    """A moment in the application's zone, to the second, with the zone's name."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def iso(moment: datetime) -> str:
    """A moment for machines."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def with_code(sentence: str) -> Markup:
    """A sentence with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


_FRAME = re.compile(r'^ +File "(?P<path>[^"]*)", line \d+')
_LIBRARIES = re.compile(r"[/\\](site-packages|dist-packages|lib[/\\]python\d)|^<frozen ")
_QUEUE = str(Path(__file__).parents[1]) + os.sep


def clean_traceback(text: str) -> str:
    """A traceback without the frames of installed packages, of Python and of the queue itself; the whole if none is left."""
    kept: list[str] = []
    hidden = False
    frames = 0
    for line in text.splitlines():
        if frame := _FRAME.match(line):
            hidden = frame["path"].startswith(_QUEUE) or bool(_LIBRARIES.search(frame["path"]))
            frames += not hidden
        elif not line.startswith("    "):
            hidden = False
        if not hidden:
            kept.append(line)
    return "\n".join(kept) if frames else text.rstrip("\n")


@dataclass(frozen=True)
class Clock:
    """What a page calls "now" (the database's clock), and the zone it shows moments in."""

    now: datetime
    zone: ZoneInfo

    def relative(self, moment: datetime) -> str:
        return relative(moment, self.now)

    def absolute(self, moment: datetime) -> str:
        return absolute(moment, self.zone)

    def since(self, moment: datetime) -> str:
        """How long ago a moment was, as a length."""
        return duration((self.now - moment).total_seconds())

    def is_late(self, due: datetime) -> bool:
        """Whether a moment passed so long ago that something should have happened by now."""
        return (self.now - due).total_seconds() > 61  # a minute, and the second that a dispatcher takes by default
