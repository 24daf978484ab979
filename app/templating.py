"""What templates can call: how long ago something was, and where the jobs are."""

from datetime import datetime, timedelta

from flask import Flask

from app.database import now

UNITS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))


def init_app(app: Flask) -> None:
    app.add_template_filter(ago)
    app.add_template_filter(counted)
    app.add_template_global(now)


def ago(moment: datetime) -> str:
    """How long ago that was, in one unit: "3 hours ago"."""
    seconds = int((now() - moment) / timedelta(seconds=1))
    for unit, length in UNITS:
        if seconds >= length:
            return f"{counted(seconds // length, unit)} ago"
    return "just now"


def counted(number: int, noun: str) -> str:
    """A number and what it counts: "1 comment", "1,204 comments"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
