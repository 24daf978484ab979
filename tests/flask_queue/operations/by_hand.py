"""A registered worker whose every step is taken by the test: it claims, ends and dies when it is told to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from flask_queue import FlaskQueue
from flask_queue.database import now_plus
from flask_queue.models import Kind, jobs, processes
from flask_queue.operations import registration
from flask_queue.operations.claim import Claim
from flask_queue.operations.failure import Failure
from flask_queue.operations.marks import Marks
from flask_queue.operations.selectors import Selector
from flask_queue.processes.accounts import Accounts
from flask_queue.processes.exchange import Room
from flask_queue.processes.performer import Ending, Outcome
from flask_queue.supervisors.maintenance import Maintenance

_names = iter(range(10**9))


class WorkerByHand:
    """Does to the database what a worker does, a transaction at a time."""

    def __init__(self, queue: FlaskQueue, *queues: str, marks: Marks | None = None) -> None:
        """
        :param marks: it goes on behind these.
        """
        self.runtime = queue.runtime()
        self.name = f"worker-{os.getpid()}-{next(_names)}"
        self._accounts = Accounts(self.runtime, Selector.parse(queues or ("*",)), self.name, marks=marks)
        self.id = register(queue, Kind.WORKER, self.name)
        self._accounts.process_id = self.id

    def claim(self, limit: int = 1, *, coroutines: int = 0) -> list[Claim]:
        return self.end(room=limit, coroutines=coroutines)

    def claim_ids(self, limit: int = 1) -> list[int]:
        return [claim.job_id for claim in self.claim(limit)]

    def claim_one(self) -> Claim:
        [claim] = self.claim(1)
        return claim

    def looks(self) -> bool:
        """Look whether there is anything to claim."""
        return self._accounts.anything_ready()

    def knows(self, *, paused: bool) -> None:
        """Know for good whether any queue is paused, so that it asks no more."""
        self._accounts._anything_paused, self._accounts._asked_at = paused, float("inf")

    def finish_and_claim(self, claims: Sequence[Claim], limit: int, *, coroutines: int = 0) -> list[Claim]:
        return self.end(*(Ending(claim, Outcome.FINISHED) for claim in claims), room=limit, coroutines=coroutines)

    def end(self, *endings: Ending, room: int = 0, coroutines: int = 0) -> list[Claim]:
        """Write endings down and claim what comes next, in one transaction, or in more where that may have missed some."""
        claims, may_be_more = self._accounts.transact(endings, Room(room, coroutines))
        if not may_be_more:
            return list(claims)
        new = sum(map(self._accounts.is_async, claims))
        return [*claims, *self.end(room=room - len(claims) + new, coroutines=coroutines - new)]

    def finish(self, *claims: Claim) -> None:
        self.end(*(Ending(claim, Outcome.FINISHED) for claim in claims))

    def fail(self, *claims: Claim, error: BaseException | None = None) -> None:
        failure = Failure.of(error or RuntimeError("broken"))
        self.end(*(Ending(claim, Outcome.FAILED, failure) for claim in claims))

    def retry(self, claim: Claim, *, wait: float = 0.0) -> None:
        self.end(Ending(claim, Outcome.RETRIED, Failure.of(RuntimeError("broken")), wait))

    def discard(self, claim: Claim) -> None:
        self.end(Ending(claim, Outcome.DISCARDED, Failure.of(RuntimeError("not worth it"))))

    def release(self) -> list[int]:
        """Give everything back, as a worker does that ends in good order."""
        from flask_queue.operations.recover import release

        return self.runtime.client.transact(lambda connection: release(connection, self.id))

    def vanish(self) -> None:
        """Lose the row in the registry, keeping what is claimed."""
        self.runtime.database.transact(lambda connection: registration.deregister(connection, self.id))

    def fall_silent(self, seconds: float = 3600.0) -> None:
        """Have sent the last heartbeat so long ago."""
        set_heartbeat(self.runtime.client.database, self.id, seconds)


def register(queue: FlaskQueue, kind: Kind, name: str, *, supervisor_id: int | None = None) -> int:
    """Enter a process into the registry."""
    return queue.database.transact(
        lambda connection: registration.register(
            connection, kind, name, pid=os.getpid(), hostname="here", metadata={}, supervisor_id=supervisor_id
        )
    )


def set_heartbeat(database: Any, process_id: int, seconds: float) -> None:
    """Let a process have been heard of so many seconds ago."""
    values = {"last_heartbeat_at": now_plus(-seconds)}
    with database.begin() as connection:
        connection.execute(processes.update().where(processes.c.id == process_id).values(**values))


def supervisor(queue: FlaskQueue) -> Maintenance:
    """What a newly registered supervisor does for the jobs of the dead."""
    return Maintenance(queue.runtime(), register(queue, Kind.SUPERVISOR, f"supervisor-{os.getpid()}-{next(_names)}"))


def change(queue: FlaskQueue, job_id: int | None, **values: Any) -> None:
    """Write columns of a job behind the queue's back: usually an instant in the past."""
    with queue.database.begin() as connection:
        assert connection.execute(jobs.update().where(jobs.c.id == job_id).values(**values)).rowcount == 1


def ago(seconds: float) -> Any:
    """The database's clock, so many seconds ago."""
    return now_plus(-seconds)
