"""What the public API, the commands and the dashboard do to one application's queue: operations in transactions of their own.

Apart from the extension because nothing here knows of Flask, and from the operations because these transactions are ours.
"""

from __future__ import annotations

from ..operations.queues import QueueOverview
from .client import Client
from .handle import Attempt, JobHandle
from .processes import ProcessRecord, list_processes
from .queues import QueueHandle, Queues
from .recurring import RecurringTaskHandle, RecurringTasks
from .relation import JobRelation, Jobs

__all__ = [
    "Attempt",
    "Client",
    "JobHandle",
    "JobRelation",
    "Jobs",
    "ProcessRecord",
    "QueueHandle",
    "QueueOverview",
    "Queues",
    "RecurringTaskHandle",
    "RecurringTasks",
    "list_processes",
]
