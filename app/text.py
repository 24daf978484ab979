"""What people type, made fit to keep: filters and validators that several forms share.

Databases differ in what they refuse (PostgreSQL takes no NUL), so it is settled here, before any of them sees it.
"""

import re
import unicodedata
from urllib.parse import urlsplit

from wtforms import Field, Form, ValidationError

EMAIL_PATTERN = re.compile(r"[^@\s\x00-\x1f<>()\[\],;:\\\"]+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z]{2,}", re.ASCII)


def line(value: str | None) -> str:
    """One line: no control characters, blanks at the ends or double blanks."""
    return " ".join(_printable(value or "").split())


def paragraphs(value: str | None) -> str:
    """Many lines: as typed, without control characters and blank lines around."""
    return _printable((value or "").replace("\r\n", "\n")).strip()


def lower(value: str | None) -> str:
    """A name or an address whose case does not matter."""
    return line(value).lower()


def _printable(value: str) -> str:
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


class WebAddress:
    """The address of a web page. `javascript:` and its like would run in the reader's browser."""

    def __call__(self, form: Form, field: Field) -> None:
        try:
            parts = urlsplit(field.data)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in field.data
        except ValueError:
            valid = False
        if not valid:
            raise ValidationError("Start with http:// or https://, then a host, like https://example.org/page.")


class EmailAddress:
    """Something that can be an email address; only a mail sent there could tell whether it is one."""

    def __call__(self, form: Form, field: Field) -> None:
        if not EMAIL_PATTERN.fullmatch(field.data):
            raise ValidationError("This does not look like an email address. They are like name@example.org.")
