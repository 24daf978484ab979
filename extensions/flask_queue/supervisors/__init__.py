"""Processes that watch processes: start them, replace those that die, end the jobs of the dead, and stop all in good order."""

from __future__ import annotations

from .start import start

__all__ = ["start"]
