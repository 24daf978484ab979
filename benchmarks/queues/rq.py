"""RQ on Redis. Its default worker forks for each job; for throughput SimpleWorker runs them in its own process."""

from __future__ import annotations

from collections.abc import Sequence

import redis
import rq

from ..databases import redis_durability
from ..marks import mark
from ..processes import Command, script
from .base import Queue


class Measured(Queue):
    """RQ; finished jobs and results are kept for 500 seconds, its default."""

    can_be_one_process = False  # one for each job

    def create(self) -> None:
        self.redis = redis.Redis.from_url(self.url)
        self.queue = rq.Queue(connection=self.redis)

    def enqueue(self, number: int) -> None:
        self.queue.enqueue(mark, number)

    def enqueue_many(self, numbers: range) -> None:
        self.queue.enqueue_many([rq.Queue.prepare_data(mark, args=(number,)) for number in numbers])

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        command = [script("rq"), "worker", "--url", self.url]
        return [[*command, "--quiet", "--worker-class", "rq.worker.SimpleWorker"]] * 2 if tuned else [command]

    def finished(self) -> int:
        return int(self.queue.finished_job_registry.get_job_count(cleanup=False))

    def clear(self) -> None:
        self.redis.flushdb()

    def durability(self) -> str:
        return redis_durability(self.url)
