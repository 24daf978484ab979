"""What has been printed and not written yet."""

from __future__ import annotations

import contextlib
import sys


def flush_output() -> None:
    """Write it, so that a process that is forked next does not write it once more. Never raises.

    A stream may be missing (`flask queue start >&-`), closed, or one that nobody reads any more.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
