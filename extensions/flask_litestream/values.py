"""Take settings out of ``app.config`` one by one, each checked, and note every mistake instead of the first only.

Apart because settings and replicas check values by the same rules. Each function takes what somebody wrote, which may
be text from an environment variable, and returns it in its right type or raises ValueError with the end of a sentence
that begins with the setting's name.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

T = TypeVar("T")

PREFIX = "LITESTREAM_"
LOG_LEVELS = ("trace", "debug", "info", "warn", "error")

#: Variables that Litestream is given or reads itself, which an application may have taken over from its environment.
OF_LITESTREAM = re.compile(r"LITESTREAM_(?:(?:DATABASE|SECRET|AZURE|S3)_\w+|CONFIG)")

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


class Reader:
    """Reads settings, remembers which it was asked for, and collects what is wrong in ``problems``."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self.config = config
        self.problems: list[str] = []
        self.known: set[str] = set()

    def take(self, name: str, default: T, parse: Callable[[object], T]) -> T:
        """Return a setting, or its default where it is unset or wrong."""
        key = PREFIX + name
        self.known.add(key)
        value = self.config.get(key)
        if value is None or value == "":
            return default
        try:
            return parse(value)
        except ValueError as error:
            self.note(f"{key} {error}")
            return default

    def note(self, problem: str) -> None:
        """Add a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def refuse_unknown(self) -> None:
        """Note every LITESTREAM_ key that nobody asked for: most likely it is misspelt."""
        for key in sorted(self.config):
            if key.startswith(PREFIX) and key not in self.known and not OF_LITESTREAM.fullmatch(key):
                near = difflib.get_close_matches(key, self.known, n=1)
                self.note(f"{key} is no setting." + (f" Did you mean {near[0]}?" if near else ""))


_FALSE = ("false", "0", "no", "off")


def a_boolean(value: object) -> bool:
    """True or false; from an environment variable also 1, 0, yes, no, on, off."""
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"must be true or false, not {value!r}.")


def seconds(value: object) -> float:
    """A positive number of seconds, also as text."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"must be a number of seconds greater than 0, not {value!r}.")
    return number


def a_duration(value: object) -> str:
    """A duration as Litestream writes it, like ``1s``, ``5m`` or ``1h30m``.

    A number without a unit counts as nanoseconds there: ``5`` would sync two hundred million times a second.
    """
    text = str(value).strip()
    if not re.fullmatch(rf"({_PART.pattern})+", text):
        raise ValueError(f"must be a duration with a unit, like 1s, 5m or 24h, not {value!r}.")
    if duration_seconds(text) <= 0:
        raise ValueError(f"must be longer than nothing, not {value!r}.")
    return text


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration that `a_duration` has accepted."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def a_text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}.")
    return value


def a_secret(value: object) -> str | None:
    """A text that no message repeats."""
    if not isinstance(value, str):
        raise ValueError("must be a text.")
    return value


def a_path(value: object) -> Path:
    """A path, with ~ for the home folder."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"must be a path, not {value!r}.")
    return Path(value).expanduser()


def an_absolute_path(value: object) -> Path:
    """A path that means the same from every working directory."""
    path = a_path(value)
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, not {value!r}.")
    return path


def a_program(value: object) -> Path | None:
    """The absolute path of a program."""
    return an_absolute_path(value)


def a_file(value: object) -> Path | None:
    """The path of a file; a relative one is meant from the working directory of now, not of later."""
    return a_path(value).absolute()


def a_log_level(value: object) -> str:
    """One of Litestream's log levels."""
    if value not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}, not {value!r}.")
    return str(value)


def an_address(value: object) -> str | None:
    """A host and a port; the port alone would listen to the whole world, profiler and all."""
    host, colon, port = str(value).rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"must be a host and a port, like 127.0.0.1:9090, not {value!r}.")
    return str(value)


def an_ending(value: object) -> Literal["restart", "stop"]:
    """What to do when Litestream ends by itself."""
    if value == "restart":
        return "restart"
    if value == "stop":
        return "stop"
    raise ValueError(f'must be "restart" or "stop", not {value!r}.')


def a_url_prefix(value: object) -> str | None:
    """Where the page is; False for no page."""
    text = str(value)
    if text.strip().lower() in _FALSE:  # also as the text that an environment variable is
        return None
    if not text.startswith("/") or text == "/":
        raise ValueError(f"must be a path like /litestream, or False for no page, not {value!r}.")
    return text.rstrip("/")


def a_rule(value: object) -> object:
    """A callable given the user, or where to import it from."""
    if callable(value) or (isinstance(value, str) and re.fullmatch(r"[\w.]+:[\w.]+", value)):
        return value
    raise ValueError(f'must be a callable given the user, or "module:name" of one, not {value!r}.')
