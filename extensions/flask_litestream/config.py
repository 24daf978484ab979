"""The LITESTREAM_ settings of one application, as one frozen object; or everything that is wrong with them at once.

Apart because nothing else looks at ``app.config``: whoever has `Settings` has values that are valid.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import values
from .databases import Database, missing_in, read_databases
from .errors import ConfigurationError
from .values import PREFIX, Reader

#: Linux allows 107 bytes, macOS 103; with a longer path Litestream only warns and runs without its socket.
LONGEST_SOCKET_PATH = 103


@dataclass(frozen=True)
class Places:
    """Where things are: Litestream's folder in the instance, the control socket, the user's program and file."""

    directory: Path
    socket: Path
    executable: Path | None
    config_path: Path | None


@dataclass(frozen=True)
class Streaming:
    """What the generated configuration says about replication; durations as Litestream writes them."""

    sync_interval: str
    snapshot_interval: str
    snapshot_retention: str
    log_level: str
    metrics_address: str | None


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds, until a thing counts as failed."""

    start: float
    stop: float
    verify_wait: float
    restore: float
    verify_max_age: float


@dataclass(frozen=True)
class Page:
    """Where the page is (None: nowhere) and who decides about access to it."""

    url_prefix: str | None
    authorize: object


@dataclass(frozen=True)
class Settings:
    """The valid settings of one application.

    :param on_exit: what follows when Litestream ends by itself.
    :param credentials: LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY, if they are settings.
    :param missing: what still keeps Litestream from running; empty wherever ``enabled`` is true.
    """

    enabled: bool
    databases: tuple[Database, ...]
    places: Places
    streaming: Streaming
    timeouts: Timeouts
    page: Page
    on_exit: Literal["restart", "stop"]
    verify_queue: str
    credentials: Mapping[str, str]
    shared_replica: str | None
    missing: tuple[str, ...]


def load_settings(config: Mapping[str, object], files: Mapping[str, Path], instance: Path) -> Settings:
    """Read the settings of an application.

    :param config: ``app.config``.
    :param files: the application's SQLite files by database name.
    :param instance: the instance folder; relative folders are meant to be in it.
    :raises ConfigurationError: naming every value that is wrong. What is only missing is refused where Litestream is
        enabled and else kept in ``missing``, so that an application without backups starts.
    """
    reader = Reader(config)
    settings = _read(reader, files, instance)
    reader.refuse_unknown()
    problems = [*reader.problems, *(settings.missing if settings.enabled else ())]
    if problems:
        raise ConfigurationError(problems)
    return settings


def _read(reader: Reader, files: Mapping[str, Path], instance: Path) -> Settings:
    places = _read_places(reader, instance)
    before = len(reader.problems)
    databases = read_databases(reader, files)
    complete = places.config_path is not None or len(reader.problems) > before  # a wrong replica is not also missing
    if places.config_path and reader.config.get(f"{PREFIX}DATABASES"):
        reader.note(f"{PREFIX}CONFIG_PATH and {PREFIX}DATABASES exclude each other: keep one.")
    return Settings(
        enabled=reader.take("ENABLED", False, values.a_boolean),
        databases=databases,
        places=places,
        streaming=_read_streaming(reader),
        timeouts=_read_timeouts(reader),
        page=_read_page(reader),
        on_exit=reader.take("ON_EXIT", "restart", values.an_ending),
        verify_queue=reader.take("VERIFY_QUEUE", "default", values.a_text),
        credentials=_read_credentials(reader),
        shared_replica=_shared_replica(reader),
        missing=(*_missing_places(places), *([] if complete else missing_in(databases))),
    )


def _read_places(reader: Reader, instance: Path) -> Places:
    directory = instance / reader.take("DIRECTORY", Path("litestream"), values.a_path)
    return Places(
        directory=directory,
        socket=instance / reader.take("SOCKET", directory / "litestream.sock", values.a_path),
        executable=reader.take("BIN", None, values.a_program),
        config_path=reader.take("CONFIG_PATH", None, values.a_file),
    )


def _missing_places(places: Places) -> list[str]:
    missing = []
    if len(os.fsencode(places.socket)) > LONGEST_SOCKET_PATH:
        missing.append(
            f"{PREFIX}SOCKET would be {places.socket}, longer than the {LONGEST_SOCKET_PATH} bytes a socket's path may "
            f"have: set it to something shorter, like /run/myapp/litestream.sock."
        )
    elif "$" in str(places.socket) and not places.config_path:
        missing.append(f"{PREFIX}SOCKET would be {places.socket}: it has a $, which Litestream takes for a variable.")
    if places.executable and not os.access(places.executable, os.X_OK):
        missing.append(f"{PREFIX}BIN names {places.executable}, which is no program that can be executed.")
    if places.config_path and not places.config_path.is_file():
        missing.append(f"{PREFIX}CONFIG_PATH names {places.config_path}, which is no file.")
    return missing


def _read_streaming(reader: Reader) -> Streaming:
    streaming = Streaming(
        sync_interval=reader.take("SYNC_INTERVAL", "1s", values.a_duration),
        snapshot_interval=reader.take("SNAPSHOT_INTERVAL", "24h", values.a_duration),
        snapshot_retention=reader.take("SNAPSHOT_RETENTION", "168h", values.a_duration),
        log_level=reader.take("LOG_LEVEL", "info", values.a_log_level),
        metrics_address=reader.take("METRICS_ADDR", None, values.an_address),
    )
    retention, interval = streaming.snapshot_retention, streaming.snapshot_interval
    if values.duration_seconds(retention) < values.duration_seconds(interval):
        reader.note(
            f"{PREFIX}SNAPSHOT_RETENTION ({retention}) must not be shorter than {PREFIX}SNAPSHOT_INTERVAL ({interval}): "
            "the last snapshot would go before the next is there."
        )
    return streaming


def _read_timeouts(reader: Reader) -> Timeouts:
    return Timeouts(
        start=reader.take("START_TIMEOUT", 10.0, values.seconds),
        stop=reader.take("STOP_TIMEOUT", 8.0, values.seconds),
        verify_wait=reader.take("VERIFY_WAIT", 30.0, values.seconds),
        restore=reader.take("RESTORE_TIMEOUT", 600.0, values.seconds),
        verify_max_age=reader.take("VERIFY_MAX_AGE", 172_800.0, values.seconds),
    )


def _read_page(reader: Reader) -> Page:
    prefix: str | None = "/litestream"
    return Page(
        url_prefix=reader.take("URL_PREFIX", prefix, values.a_url_prefix),
        authorize=reader.take("AUTHORIZE", None, values.a_rule),
    )


def _read_credentials(reader: Reader) -> dict[str, str]:
    names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    taken = {PREFIX + name: reader.take(name, None, values.a_secret) for name in names}
    return {name: value for name, value in taken.items() if value is not None}


def _shared_replica(reader: Reader) -> str | None:
    """LITESTREAM_REPLICA as a URL for the user's own file to refer to, unless it holds a password."""
    value = reader.config.get(f"{PREFIX}REPLICA")
    if not isinstance(value, str) or "@" in value:
        return None
    return f"{'file://' if value.startswith('/') else ''}{value.rstrip('/')}"
