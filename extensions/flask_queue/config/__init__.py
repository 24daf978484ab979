"""Settings and files become frozen records, and what is wrong with them becomes a list of sentences.

Nothing here knows of Flask or of a database, so that `flask queue check` works on a machine that has none.
"""

from __future__ import annotations

from .configuration import Configuration, Only, load
from .options import DispatcherOptions, SchedulerOptions, WorkerOptions
from .recurring import MOST_CATCH_UP_DAYS, RecurringTask, split_arguments
from .settings import DEFAULT_CONFIG_FILE, DEFAULT_RECURRING_FILE, Settings

__all__ = [
    "DEFAULT_CONFIG_FILE",
    "DEFAULT_RECURRING_FILE",
    "MOST_CATCH_UP_DAYS",
    "Configuration",
    "DispatcherOptions",
    "Only",
    "RecurringTask",
    "SchedulerOptions",
    "Settings",
    "WorkerOptions",
    "load",
    "split_arguments",
]
