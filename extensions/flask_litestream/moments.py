"""Say sizes, ages and moments the way people read them, and read moments the way people write them.

Apart because commands and page show the same things and should show them alike.
"""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(text: str) -> str:
    """Return a moment as Litestream wants it. Without a zone it is taken as UTC.

    :raises ValueError: with the end of a sentence, if it is no moment.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):  # the latter outside the years 1 to 9999 in UTC
        raise ValueError(f"must be a moment like 2026-11-24T03:41:00Z, not {text!r}.") from None


def moment_text(moment: datetime | None) -> str:
    """Return a moment like ``2026-11-24 03:41:07 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "never"


def age_text(seconds: float) -> str:
    """Return a length of time in its largest fitting unit, like ``3 min``."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{max(seconds, 0):.1f} s"


def size_text(size: float) -> str:
    """Return a number of bytes like ``4.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the loop returns")
