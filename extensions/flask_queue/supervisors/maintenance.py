"""Rescue for the jobs of the dead: of pruned processes, of processes that nobody knows, and of a supervisor's own children."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterable
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from ..database import AnyRow
from ..errors import ProcessExitError, ProcessMissingError, ProcessPrunedError
from ..operations import registration
from ..operations.failure import Failure
from ..operations.recover import Recovered, fail_claims, fail_orphans, release
from ..operations.unblock import unblock
from ..processes.runtime import Runtime

#: No more than so many processes are pruned in one transaction.
PRUNE_BATCH = 50


class Maintenance:
    """What every supervisor does now and then, whatever processes it runs. It never prunes itself."""

    def __init__(self, runtime: Runtime, own_id: int) -> None:
        self._runtime = runtime
        self._own_id = own_id
        self._interval = runtime.settings.alive_threshold
        self._done_at = float("-inf")

    def run_if_due(self) -> bool:
        """Prune the dead and end orphaned jobs, once in every `QUEUE_ALIVE_THRESHOLD`; whether it was time to."""
        if time.monotonic() - self._done_at < self._interval:
            return False
        self._done_at = time.monotonic()
        while self._prune() == PRUNE_BATCH:
            pass
        self._fail_orphans()
        return True

    def _prune(self) -> int:
        threshold, own_id = self._runtime.settings.alive_threshold, self._own_id
        if not self._runtime.database.alone(
            lambda connection: registration.anyone_dead(connection, threshold=threshold, except_id=own_id)
        ):
            return 0

        def work(connection: Connection) -> tuple[list[AnyRow], list[int]]:
            dead = registration.lock_dead(connection, threshold=threshold, except_id=own_id, limit=PRUNE_BATCH)
            return list(dead), self._bury(connection, [(row, _pruned(row)) for row in dead])

        dead, job_ids = self._runtime.client.transact(work, is_news=itemgetter(1))
        if dead:
            self._runtime.events.emit("prune_processes", size=len(dead), process_ids=[row.id for row in dead])
            self._tell(job_ids, [row.id for row in dead])
        return len(dead)

    def _fail_orphans(self) -> None:
        failure = Failure.of(ProcessMissingError("The process that was running this job no longer exists."))

        def work(connection: Connection) -> Recovered:
            lost = fail_orphans(connection, failure, self._runtime.definitions)
            unblock(connection, lost.keys, self._runtime.definitions)
            return lost

        lost = self._runtime.client.transact(work, is_news=lambda lost: lost.job_ids)
        self._tell(lost.job_ids, [])

    def registered_children(self) -> set[int]:
        """The pids of our children that nobody has pruned."""
        return set(self._runtime.database.alone(lambda connection: registration.child_pids(connection, self._own_id)))

    def bury_child(self, pid: int, hostname: str, status: int) -> None:
        """End the jobs of a child that died without leaving the registry.

        :param status: as `os.waitpid` gives it.
        """

        def work(connection: Connection) -> tuple[AnyRow | None, list[int]]:
            row = registration.find(connection, pid=pid, hostname=hostname, supervisor_id=self._own_id)
            return row, self._bury(connection, [(row, _exited(status))]) if row is not None else []

        row, job_ids = self._runtime.client.transact(work, is_news=itemgetter(1))
        if row is not None:
            self._tell(job_ids, [row.id])

    def _bury(self, connection: Connection, dead: Iterable[tuple[AnyRow, Failure]]) -> list[int]:
        """End what these processes held, each with its failure, and remove them; the ids of those jobs."""
        lost = []
        for row, failure in dead:
            lost.append(fail_claims(connection, row.id, failure, self._runtime.definitions, process_name=row.name))
            registration.deregister(connection, row.id)
        # All keys at once: locked process by process, they would not be in the order that everybody else locks them in.
        unblock(connection, frozenset().union(*(each.keys for each in lost)), self._runtime.definitions)
        return [job_id for each in lost for job_id in each.job_ids]

    def release_children(self, *, but: Collection[int]) -> None:
        """Put what our children still hold back into the queue: we have ended them ourselves.

        :param but: jobs that have run, and must not run again: they fail as orphans when a supervisor next looks for those.
        """

        def work(connection: Connection) -> list[int]:
            rows = registration.children(connection, self._own_id)
            released = [job_id for row in rows for job_id in release(connection, row.id, but=but)]
            for row in rows:
                registration.deregister(connection, row.id)
            return released

        released = self._runtime.client.transact(work)
        if released:
            self._runtime.events.emit("release_many_claimed", job_ids=released, size=len(released))

    def _tell(self, job_ids: Any, process_ids: list[int]) -> None:
        if job_ids:
            self._runtime.events.emit("fail_many_claimed", process_ids=process_ids, job_ids=list(job_ids))


def _pruned(row: AnyRow) -> Failure:
    beat = f"{row.last_heartbeat_at:%Y-%m-%d %H:%M:%S} UTC"
    return Failure.of(ProcessPrunedError(f"Process was found dead and pruned (last heartbeat at: {beat})."))


def _exited(status: int) -> Failure:
    return Failure.of(ProcessExitError(f"The process that was running this job {exit_in_words(status)}."))


def exit_in_words(status: int) -> str:
    """How a process ended, from its wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"was killed by signal {number} ({signal.Signals(number).name})"
        except ValueError:
            return f"was killed by signal {number}"
    return f"exited with status {os.WEXITSTATUS(status)}"
