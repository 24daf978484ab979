"""Calls that are enqueued together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..operations.enqueue import NewJobs
from .handle import JobHandle


@dataclass
class Batch:
    """Calls that go one way, and what will be written of each."""

    handles: list[JobHandle] = field(default_factory=list)
    jobs: NewJobs = field(default_factory=NewJobs)

    def left(self) -> Batch:
        """Those that are not in the queue yet: the same handles may have been given to another call of the transaction."""
        if not any(handle.enqueued for handle in self.handles):
            return self
        left = Batch()
        for handle, job in zip(self.handles, self.jobs, strict=True):
            if not handle.enqueued:
                left.handles.append(handle)
                left.jobs.append(job)
        return left

    def stored(self, ids: Sequence[int | None]) -> int:
        """Tell the handles how it went; how many were enqueued."""
        for handle, job_id in zip(self.handles, ids, strict=True):
            handle.stored(job_id)
        return sum(handle.enqueued for handle in self.handles)

    def forget(self) -> None:
        """Tell the handles that it was taken back."""
        for handle in self.handles:
            handle.stored(None)
