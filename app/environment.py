"""Environment variables as configuration: which ones are read, and how their texts become values.

A variable has the name of the setting it overrides. Apart from `config.py` because what a text means has nothing to
do with which values an environment starts from.
"""

import json
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


def number(value: str) -> int | float:
    """A number, whole if it is written so."""
    try:
        return int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    except ValueError:
        raise ValueError("use a number, like 15 or 0.5") from None


def path(value: str) -> str:
    """A path; a relative one starts at the project's root, wherever the command was called."""
    return str(ROOT / value)


def words(value: str) -> list[str]:
    """Words between commas."""
    return [word.strip() for word in value.split(",") if word.strip()]


def mapping(value: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise ValueError(f"use a JSON object ({error})") from None
    if not isinstance(parsed, dict):
        raise ValueError("use a JSON object, like {}")
    return parsed


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
    "MAIL_OUTBOX": path,
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

QUEUE: dict[str, Parser] = {
    "QUEUE_ENVIRONMENT": text,
    "QUEUE_IN_WEB": boolean,
    "QUEUE_BIND_KEY": optional(text),
    "QUEUE_CONFIG_FILE": optional(path),
    "QUEUE_RECURRING_FILE": optional(path),
    "QUEUE_MODE": text,
    "QUEUE_SKIP_RECURRING": boolean,
    "QUEUE_PIDFILE": optional(path),
    "QUEUE_HEARTBEAT_INTERVAL": number,
    "QUEUE_ALIVE_THRESHOLD": number,
    "QUEUE_SHUTDOWN_TIMEOUT": number,
    "QUEUE_PRESERVE_FINISHED_JOBS": boolean,
    "QUEUE_CLEAR_FINISHED_JOBS_AFTER": number,
    "QUEUE_SILENCE_POLLING": boolean,
    "QUEUE_CONCURRENCY_DURATION": number,
    "QUEUE_TIME_ZONE": optional(text),
    "QUEUE_AFTER_COMMIT": boolean,
    "QUEUE_URL_PREFIX": text,
    "QUEUE_FILTER_ARGUMENTS": words,
    "QUEUE_AUTHORIZE": optional(text),
}

# Credentials (LITESTREAM_ACCESS_KEY_ID and the like) are left out on purpose: they stay in the environment.
LITESTREAM: dict[str, Parser] = {
    "LITESTREAM_ENABLED": boolean,
    "LITESTREAM_BIN": optional(path),
    "LITESTREAM_CONFIG_PATH": optional(path),
    "LITESTREAM_DATABASES": mapping,
    "LITESTREAM_SOCKET": path,
    "LITESTREAM_METRICS_ADDR": optional(text),
    "LITESTREAM_SYNC_INTERVAL": text,
    "LITESTREAM_SNAPSHOT_RETENTION": text,
    "LITESTREAM_STOP_TIMEOUT": number,
    "LITESTREAM_VERIFY_WAIT": number,
    "LITESTREAM_RESTORE_TIMEOUT": number,
    "LITESTREAM_VERIFY_QUEUE": text,
}


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that environment variables give, as values of the right type."""
    settings = APPLICATION | QUEUE | LITESTREAM
    return {name: _parsed(name, environ[name], parse) for name, parse in settings.items() if name in environ}


def _parsed(name: str, value: str, parse: Parser) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise ConfigurationError(f"The environment variable {name} is {value!r}: {error}.") from None
