"""Schedules of recurring tasks: phrases and cron texts, read once, and the instants at which they are due."""

from .schedule import Schedule

__all__ = ["Schedule"]
