"""Environment variables as configuration: which ones are read, and how their texts become values.

A variable has the name of the setting it overrides. Apart from `config.py` because what a text means has nothing to
do with which values an environment starts from.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from click import ClickException

ROOT = Path(__file__).resolve().parent.parent

Parser = Callable[[str], Any]


class ConfigurationError(ClickException):
    """A setting is missing or cannot be used. The `flask` command shows the message without a traceback."""


def text(value: str) -> str:
    return value


def boolean(value: str) -> bool:
    """True or false, written out or as 1 or 0."""
    try:
        return {"true": True, "1": True, "false": False, "0": False}[value.strip().lower()]
    except KeyError:
        raise ValueError("use true or false, or 1 or 0") from None


def integer(value: str) -> int:
    """A whole number."""
    try:
        return int(value)
    except ValueError:
        raise ValueError("use a whole number, like 30") from None


def structure(value: str) -> Any:
    """JSON where it looks like it, else the text."""
    if not value.strip().startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"this is no valid JSON ({error})") from None


def optional(parse: Parser) -> Parser:
    """Like `parse`, but "none" or no text at all means None."""
    return lambda value: None if value.strip().lower() in ("", "none") else parse(value)


APPLICATION: dict[str, Parser] = {
    "SECRET_KEY": text,
    "SQLALCHEMY_DATABASE_URI": text,
    "SQLALCHEMY_BINDS_QUEUE": text,
    "PUBLIC_URL": text,
    "PROXY_COUNT": integer,
    "POSTS_PER_PAGE": integer,
    "COMMENTS_PER_PAGE": integer,
    "MAIL_BACKEND": text,
    "MAIL_OUTBOX": text,
    "MAIL_FROM": text,
    "MAIL_SMTP_HOST": text,
    "MAIL_SMTP_PORT": integer,
    "MAIL_SMTP_STARTTLS": boolean,
    "MAIL_SMTP_USERNAME": optional(text),
    "MAIL_SMTP_PASSWORD": optional(text),
    "MAX_CONTENT_LENGTH": integer,
    "SESSION_COOKIE_SAMESITE": text,
    "SESSION_COOKIE_SECURE": boolean,
    "WTF_CSRF_TIME_LIMIT": optional(integer),
}

# Where the application has to know a value of the queue itself. All others of QUEUE_… and LITESTREAM_… are handed on as
# they are: the two extensions read text, and say what is wrong with it, misspelt names included.
QUEUE: dict[str, Parser] = {
    "QUEUE_BIND_KEY": optional(text),
    "QUEUE_CONFIG_FILE": optional(text),
    "QUEUE_RECURRING_FILE": optional(text),
    "QUEUE_PIDFILE": optional(text),
    "QUEUE_IN_WEB": boolean,
}
LITESTREAM: dict[str, Parser] = {"LITESTREAM_DATABASES": structure, "LITESTREAM_REPLICA": structure}
HANDED_ON = re.compile(r"(?:QUEUE|LITESTREAM)_\w+")

# Credentials, and what the litestream binary reads itself: they stay in the environment, which it inherits.
KEPT_BACK = re.compile(r"LITESTREAM_(?:\w+_KEY|\w+_KEY_ID|CONFIG)")


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that environment variables give, as values of the right type."""
    parsers = APPLICATION | QUEUE | LITESTREAM
    return {name: _parsed(name, value, parsers.get(name, text)) for name, value in environ.items() if _is_ours(name)}


def _is_ours(name: str) -> bool:
    return name in APPLICATION or bool(HANDED_ON.fullmatch(name) and not KEPT_BACK.fullmatch(name))


def _parsed(name: str, value: str, parse: Parser) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        shown = "cannot be used" if name in LITESTREAM else f"is {value!r}"  # a replica may hold a secret
        raise ConfigurationError(f"The environment variable {name} {shown}: {error}.") from None
