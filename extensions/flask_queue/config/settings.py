"""The settings: the `QUEUE_…` keys of an application's configuration, checked once and all together."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from ..errors import ConfigurationError
from .values import Refused, boolean, choice, closest, duration, long_text, names, option, options_of, read, text

PREFIX = "QUEUE_"
DEFAULT_CONFIG_FILE = "config/queue.yml"
DEFAULT_RECURRING_FILE = "config/recurring.yml"

#: Arguments whose names contain one of these are not shown.
FILTERED = ("password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "credential", "private_key")


def path(value: Any) -> Path | None:
    """A path; empty text means none, for an environment variable cannot be None."""
    if not isinstance(value, str | Path):
        raise Refused("a path or None")
    return Path(value) if str(value).strip() else None


def time_zone(value: Any) -> str:
    """A zone that Python can look up, by its IANA name."""
    try:
        return ZoneInfo(value).key
    except (TypeError, ValueError, OSError, KeyError):
        meant = closest(str(value), available_timezones())
        hint = f" (did you mean {meant}?)" if meant else ""
        raise Refused(f"the name of a time zone, such as Europe/Paris{hint}") from None


def url_prefix(value: Any) -> str:
    """A path on the site, without a slash at its end. Not the root: `/static` there is the application's."""
    prefix = value.rstrip("/") if isinstance(value, str) else ""
    if not prefix.startswith("/") or "<" in prefix:
        raise Refused('a path that begins with "/", is more than the root, and has no "<", such as "/jobs"')
    return prefix


def authorize(value: Any) -> Any:
    """Who decides what a user may do: a function, or where to find it."""
    named = isinstance(value, str) and re.fullmatch(r"[\w.]+:[\w.]+", value)
    if not callable(value) and not named:
        raise Refused('a function, or "module:name" of one')
    return value


@dataclass(frozen=True)
class Settings:
    """What an application has set. Times are in seconds, paths absolute."""

    bind_key: str | None = option("queue", text)
    config_file: Path | None = option(Path(DEFAULT_CONFIG_FILE), path)
    recurring_file: Path | None = option(Path(DEFAULT_RECURRING_FILE), path)
    mode: Literal["fork", "thread"] = option("fork", choice("fork", "thread"))
    skip_recurring: bool = option(False, boolean)
    pidfile: Path | None = option(None, path)
    in_web: bool = option(False, boolean)
    heartbeat_interval: float = option(15.0, duration())
    alive_threshold: float = option(60.0, duration())
    shutdown_timeout: float = option(25.0, duration(zero=True))
    start_timeout: float = option(30.0, duration())
    preserve_finished_jobs: bool = option(True, boolean)
    clear_finished_jobs_after: float = option(86400.0, duration(zero=True))
    silence_polling: bool = option(True, boolean)
    concurrency_duration: float = option(180.0, duration())
    time_zone: str = option("UTC", time_zone)
    after_commit: bool = option(False, boolean)
    url_prefix: str = option("/jobs", url_prefix)
    filter_arguments: tuple[str, ...] = option(FILTERED, names)
    authorize: Callable[..., str | None] | str | None = option(None, authorize)
    health_token: str | None = option(None, long_text)
    metrics_token: str | None = option(None, long_text)
    environment: str = option("production", text)

    #: Where relative paths begin, and what the paths in messages are relative to.
    root: Path = Path()
    #: A file that somebody named has to exist; the default ones need not.
    config_file_named: bool = False
    recurring_file_named: bool = False

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, root: Path, testing: bool = False, debug: bool = False) -> Settings:
        """Read the `QUEUE_…` keys of a Flask configuration.

        :param root: the application's folder. Relative paths begin there, or beside it if the application is a package
        :param testing: whether the environment is "test" unless `QUEUE_ENVIRONMENT` says otherwise
        :param debug: whether it is "development"
        :raises ConfigurationError: naming every key that is wrong, its value and what is allowed
        """
        problems: list[str] = []
        given = {key.removeprefix(PREFIX).lower(): value for key, value in mapping.items() if key.startswith(PREFIX)}
        settings = _read(given, problems, "test" if testing else "development" if debug else "production")
        if settings.alive_threshold <= settings.heartbeat_interval:
            problems.append(_threshold_too_small(settings))
        if problems:
            raise ConfigurationError(problems=tuple(problems))
        return settings._below(root, given)

    def find_authorize(self) -> Callable[..., str | None] | None:
        """Who decides what a user may do, found where the setting says; late, as that may need the application. None: nobody.

        :raises ConfigurationError: when there is no such function.
        """
        found: Any = self.authorize
        try:
            if isinstance(found, str):
                module, _, name = found.partition(":")
                found = reduce(getattr, name.split("."), importlib.import_module(module))
            if found is not None and not callable(found):
                raise TypeError("it is no function")
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ConfigurationError(
                f"{PREFIX}AUTHORIZE is {self.authorize!r}, which leads to no function: {reason}."
            ) from error
        return found  # type: ignore[no-any-return]

    def shown(self, file: Path) -> str:
        """How to call a file in a message."""
        return str(file.relative_to(self.root) if file.is_relative_to(self.root) else file)

    def overridden(
        self, config_file: str | Path | None, recurring_file: str | Path | None, skip_recurring: bool | None
    ) -> Settings:
        """What the command line says comes before the settings. Its paths are relative to the working directory."""
        settings = self
        if config_file is not None:
            settings = replace(settings, config_file=Path(config_file).absolute(), config_file_named=True)
        if recurring_file is not None:
            settings = replace(settings, recurring_file=Path(recurring_file).absolute(), recurring_file_named=True)
        return settings if skip_recurring is None else replace(settings, skip_recurring=skip_recurring)

    def _below(self, root: Path, given: Mapping[str, Any]) -> Settings:
        root = _project(root.absolute())
        return replace(
            self,
            root=root,
            config_file=_absolute(root, self.config_file),
            recurring_file=_absolute(root, self.recurring_file),
            pidfile=_absolute(root, self.pidfile),
            config_file_named="config_file" in given,
            recurring_file_named="recurring_file" in given,
        )


#: For these keys None is a value of its own and not "as usual".
_NONE_MEANS_NONE = ("bind_key", "config_file", "recurring_file")


def _read(given: Mapping[str, Any], problems: list[str], environment: str) -> Settings:
    def refuse(name: str, allowed: str) -> None:
        problems.append(f"{PREFIX}{name.upper()} is {given[name]!r}, but must be {allowed}.")

    problems += _misspelt(given)
    more = {name: None for name in _NONE_MEANS_NONE if name in given and given[name] is None}
    if given.get("environment") is None:
        more["environment"] = environment  # type: ignore[assignment]
    if "time_zone" in given and given["time_zone"] is None:
        try:
            more["time_zone"] = system_time_zone()  # type: ignore[assignment]
        except Refused as refused:
            refuse("time_zone", str(refused))
    return read(Settings, given, refuse, **more)


def _misspelt(given: Mapping[str, Any]) -> list[str]:
    """Keys that look like ours and are not. An application may have others of its own that begin the same way."""
    known = options_of(Settings)
    meant = {name: closest(name, known, cutoff=0.85) for name in given if name not in known}
    return [
        f"{PREFIX}{name.upper()} is no setting. Did you mean {PREFIX}{known_name.upper()}?"
        for name, known_name in meant.items()
        if known_name
    ]


def _threshold_too_small(settings: Settings) -> str:
    return (
        f"{PREFIX}ALIVE_THRESHOLD is {settings.alive_threshold:g}, but must be more than {PREFIX}HEARTBEAT_INTERVAL "
        f"({settings.heartbeat_interval:g}), or processes that live are taken for dead."
    )


def _project(folder: Path) -> Path:
    """The folder that a package stands in, where Flask-Migrate and people look for migrations/ and config/."""
    return _project(folder.parent) if (folder / "__init__.py").exists() else folder


def _absolute(root: Path, file: Path | None) -> Path | None:
    return None if file is None else root / file


def system_time_zone() -> str:
    """The zone of this machine, or UTC if it does not tell.

    :raises Refused: for one that has no name, such as POSIX lets TZ have: taken for UTC, tasks would run at other hours.
    """
    told = os.environ.get("TZ", "").lstrip(":") or "/etc/localtime"
    name = os.path.realpath(told).partition("zoneinfo/")[2].removeprefix("posix/") if told.startswith("/") else told
    if name and name not in available_timezones():
        raise Refused(f"the name of a time zone, such as Europe/Paris, where that of the machine is {name!r}")
    return name or "UTC"
