"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text

from .databases import VARIABLES, with_driver


def description(databases: set[str], packages: set[str], folder: str) -> dict[str, str]:
    """The machine and the versions of what was measured.

    :param folder: where the databases were that are files
    """
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "disk": _filesystem(folder),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    }
    facts |= {name: _server_version(name) for name in ("postgresql", "mariadb") if name in databases}
    facts |= {package: _version(package) for package in sorted(packages)}
    return {name: fact for name, fact in facts.items() if fact}


def _cpu_model() -> str:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def _memory() -> str:
    with suppress(ValueError, OSError):
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    return ""


def _filesystem(folder: str) -> str:
    """The kind of file system that a folder is on, and the device below it."""
    with suppress(OSError):
        mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
        path = Path(folder).resolve()
        above = [(len(point), kind, device) for device, point, kind in mounts if path.is_relative_to(point)]
        _, kind, device = max(above)
        return f"{kind} on {device}"
    return ""


def _server_version(name: str) -> str:
    engine = create_engine(with_driver(os.environ[VARIABLES[name]]), poolclass=NullPool)
    with engine.connect() as connection:
        statement = "SHOW server_version" if name == "postgresql" else "SELECT version()"
        return str(connection.execute(text(statement)).scalar_one())


def _version(package: str) -> str:
    with suppress(PackageNotFoundError):
        return version(package)
    return ""
