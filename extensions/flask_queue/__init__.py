"""Flask-Queue: background jobs for Flask that live in the application's own SQL database."""

from __future__ import annotations

from . import errors
from .client import JobHandle
from .extension import FlaskQueue
from .globals import current_job
from .jobs.concurrency import Concurrency
from .jobs.retries import Retry
from .jobs.schedules import Schedule

__all__ = ["Concurrency", "FlaskQueue", "JobHandle", "Retry", "Schedule", "current_job", "errors"]
