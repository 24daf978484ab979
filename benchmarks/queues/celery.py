"""Celery with Redis as broker and for results, acknowledging a job when it is through: as safe as a queue that notes claims."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import redis
from celery import Celery

from ..databases import redis_durability
from ..marks import mark
from ..processes import Command
from .base import Queue, url_of_worker

app = Celery("benchmark", broker=url_of_worker(), backend=url_of_worker())
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
job = app.task(name="job")(mark)


class Measured(Queue):
    """Celery; results are kept for a day, its default."""

    has_bulk = False
    can_be_one_process = False

    def create(self) -> None:
        self.redis = redis.Redis.from_url(self.url)

    def enqueue(self, number: int) -> None:
        job.delay(number)

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        command = [sys.executable, "-m", "celery", "--app", __name__, "worker"]
        return [[*command, "--loglevel", "WARNING", "--concurrency", "2"] if tuned else command]

    def finished(self) -> int:
        return sum(1 for _ in self.redis.scan_iter("celery-task-meta-*", count=5000))

    def clear(self) -> None:
        self.redis.flushdb()

    def durability(self) -> str:
        return redis_durability(self.url)
