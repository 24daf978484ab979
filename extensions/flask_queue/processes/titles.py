"""What `ps` and `top` call a process, where setproctitle is installed (the extra `titles`)."""

from __future__ import annotations

try:
    from setproctitle import setproctitle
except ImportError:  # it is only for the eye

    def setproctitle(title: str) -> None:
        """Leave the title as it is."""


def entitle(what: str) -> None:
    """Call this operating system process after what it does."""
    setproctitle(f"flask-queue {what}")
