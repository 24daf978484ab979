"""Every arrow in any order, against a model that is small enough to be believed: a job's state is always the predicted one.

After each step the table is compared with the model, and I1 to I4 of the behaviours list are asserted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from flask_queue import FlaskQueue, errors
from flask_queue.client import JobHandle
from flask_queue.database import now
from flask_queue.jobs.definition import JobDefinition
from flask_queue.models.job import State, jobs
from flask_queue.operations.claim import Claim
from flask_queue.operations.dispatch import dispatch
from flask_queue.operations.recover import MAX_CRASHES
from flask_queue.operations.unblock import blocked_keys, first_in_lines, may_come_in, unblock
from tests.harness.databases import empty_tables
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, ago, change, supervisor
from .declared import limited, plain

#: States in which nobody runs a job.
QUIET = [state for state in State if state is not State.CLAIMED]
TABLE = select(jobs.c.id, jobs.c.state, jobs.c.process_id, jobs.c.concurrency_key, (jobs.c.expires_at > now()).label("holds"))


@dataclass(frozen=True)
class Kind:
    """A declared job, as the model knows it."""

    to: int | None = None
    discards: bool = False
    on_crash: str = "fail"


KINDS = {
    "plain": Kind(on_crash="retry"),
    "narrow": Kind(to=1, on_crash="retry"),
    "wide": Kind(to=2, on_crash="discard"),
    "only": Kind(to=1, discards=True),
}


@dataclass
class Job:
    """A row, as it should be."""

    id: int
    kind: Kind
    key: str | None
    priority: int
    state: State
    slot: bool = False
    owner: int | None = None
    #: It has run before, so that no rule for new jobs discards it.
    begun: bool = False
    crashes: int = 0
    due: int | None = None


@dataclass
class Model:
    """What the table should look like."""

    jobs: dict[int, Job] = field(default_factory=dict)
    #: Keys one of whose slots expired: who waits for it is let in at the next occasion, not at once.
    loose: set[str] = field(default_factory=set)

    def in_state(self, *states: State) -> list[Job]:
        return [job for job in self.jobs.values() if job.state in states]

    def holders(self) -> list[Job]:
        return [job for job in self.in_state(State.READY, State.CLAIMED) if job.slot]

    def line(self, key: str) -> list[Job]:
        return sorted((job for job in self.in_state(State.BLOCKED) if job.key == key), key=lambda job: (job.priority, job.id))

    def free(self, key: str, but: Job | None = None) -> int:
        mates = [job for job in self.jobs.values() if job.key == key]
        held = sum(job.slot for job in mates if job is not but and job.state in (State.READY, State.CLAIMED))
        return max(0, (mates[0].kind.to or 0) - held) if mates else 0

    def admit(self, job: Job) -> None:
        """Where a job goes that is due."""
        if job.key is None:
            job.state = State.READY
        elif self.free(job.key, but=job):
            job.state, job.slot = State.READY, True
        elif job.kind.discards and not job.begun:
            del self.jobs[job.id]
        else:
            job.state = State.BLOCKED

    def let_in(self, key: str | None, at_most: int = 1000) -> None:
        if key is None:
            return
        for job in self.line(key)[: min(self.free(key), at_most)]:
            job.state, job.slot = State.READY, True
        if not self.line(key) or not self.free(key):
            self.loose.discard(key)

    def end(self, job: Job, state: State) -> None:
        job.state, job.slot, job.owner = state, False, None
        self.let_in(job.key)


class Machine(RuleBasedStateMachine):
    """The rules: each does one thing to the queue and to the model."""

    queue: FlaskQueue
    tables: Tables
    declared: dict[str, JobDefinition[Any, Any]]

    def __init__(self) -> None:
        super().__init__()
        empty_tables(self.tables.url)
        self.model = Model()
        self.workers = [WorkerByHand(self.queue) for _ in range(2)]
        self.claims: list[tuple[WorkerByHand, Claim]] = []
        self.lost: list[tuple[WorkerByHand, Claim]] = []
        self.ripened = 0

    # --- enqueuing --------------------------------------------------------------------------------

    kinds = st.sampled_from(sorted(KINDS))
    keys = st.sampled_from("aab")
    priorities = st.integers(-1, 1)

    def build(self, name: str, key: str, priority: int, later: bool) -> JobHandle:
        configured = self.declared[name].using(priority=priority, wait=3600 if later else None)
        return configured.build(key) if KINDS[name].to else configured.build()

    def expect(self, handle: JobHandle, name: str, key: str, priority: int, later: bool) -> None:
        kind = KINDS[name]
        key_text = f"{name}/{key}" if kind.to else None
        job = Job(handle.id or -1, kind, key_text, priority, State.SCHEDULED)
        self.model.jobs[job.id] = job
        if not later:
            self.model.admit(job)
        assert handle.enqueued == (job.id in self.model.jobs)

    @initialize()
    def begin_with_a_crowd(self) -> None:
        crowd = [(name, "a", priority, False) for name in sorted(KINDS) for priority in (1, 0, 0)]
        self.enqueue_all([*crowd, ("only", "b", 0, True), ("only", "b", 0, True)])
        self.claim(0, 3)

    @rule(name=kinds, key=keys, priority=priorities, later=st.sampled_from([False, False, False, True]))
    def enqueue(self, name: str, key: str, priority: int, later: bool) -> None:
        handle = self.queue.publish(self.build(name, key, priority, later))
        self.expect(handle, name, key, priority, later)

    @rule(many=st.lists(st.tuples(kinds, keys, priorities, st.booleans()), min_size=2, max_size=6))
    def enqueue_all(self, many: list[tuple[str, str, int, bool]]) -> None:
        handles = [self.build(*one) for one in many]
        count = self.queue.enqueue_all(handles)
        for handle, one in zip(handles, many, strict=True):
            self.expect(handle, *one)
        assert count == sum(handle.enqueued for handle in handles)

    # --- running ----------------------------------------------------------------------------------

    @rule(which=st.integers(0, 1), limit=st.integers(1, 3))
    def claim(self, which: int, limit: int) -> None:
        worker = self.workers[which]
        ready = sorted(self.model.in_state(State.READY), key=lambda job: (job.priority, job.id))[:limit]
        claims = worker.claim(limit)
        assert [claim.job_id for claim in claims] == [job.id for job in ready]
        for job in ready:
            job.state, job.owner = State.CLAIMED, worker.id
        self.claims += [(worker, claim) for claim in claims]

    def take_claim(self, data: st.DataObject) -> tuple[WorkerByHand, Claim, Job]:
        position = data.draw(st.integers(0, len(self.claims) - 1))
        worker, claim = self.claims.pop(position)
        return worker, claim, self.model.jobs[claim.job_id]

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), how=st.sampled_from(["finish", "finish", "fail", "discard"]))
    def end(self, data: st.DataObject, how: str) -> None:
        worker, claim, job = self.take_claim(data)
        getattr(worker, how)(claim)
        job.begun = job.begun or how == "fail"
        self.model.end(job, State.FAILED if how == "fail" else State.FINISHED)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), wait=st.sampled_from([0.0, 3600.0]))
    def retry(self, data: st.DataObject, wait: float) -> None:
        worker, claim, job = self.take_claim(data)
        worker.retry(claim, wait=wait)
        job.begun = True
        if wait:
            self.model.end(job, State.SCHEDULED)
        else:
            job.owner, job.slot = None, False
            self.model.admit(job)
            self.model.let_in(job.key)

    @precondition(lambda self: self.lost)
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "discard", "retry"]))
    def end_too_late(self, data: st.DataObject, how: str) -> None:
        worker, claim = self.lost.pop(data.draw(st.integers(0, len(self.lost) - 1)))
        getattr(worker, how)(claim)
        self.model.let_in(claim.concurrency_key)  # harmless, and welcome where a slot had expired

    # --- by hand ----------------------------------------------------------------------------------

    def pick(self, data: st.DataObject, *states: State) -> tuple[Job, JobHandle]:
        job = data.draw(st.sampled_from(self.model.in_state(*states)))
        handle = self.queue.jobs.get(job.id)
        assert handle is not None
        return job, handle

    @precondition(lambda self: self.model.in_state(State.FAILED))
    @rule(data=st.data())
    def retry_by_hand(self, data: st.DataObject) -> None:
        job, handle = self.pick(data, State.FAILED)
        handle.retry()
        job.crashes, job.begun = 0, True
        self.model.admit(job)

    @precondition(lambda self: self.model.in_state(*QUIET))
    @rule(data=st.data())
    def discard_by_hand(self, data: st.DataObject) -> None:
        job, handle = self.pick(data, *QUIET)
        handle.discard()
        del self.model.jobs[job.id]
        self.model.let_in(job.key)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def ask_too_much(self, data: st.DataObject) -> None:
        """Retry what is not failed, discard what runs, hurry what does not wait."""
        job, handle = self.pick(data, *State)
        refused = {
            handle.retry: job.state is not State.FAILED,
            handle.discard: job.state is State.CLAIMED,
            handle.run_now: job.state not in (State.SCHEDULED, State.BLOCKED),
        }
        for act in [act for act, is_refused in refused.items() if is_refused]:
            with pytest.raises(errors.InvalidTransition):
                act()

    @precondition(lambda self: self.model.in_state(State.SCHEDULED, State.BLOCKED))
    @rule(data=st.data())
    def run_now(self, data: st.DataObject) -> None:
        job, handle = self.pick(data, State.SCHEDULED, State.BLOCKED)
        handle.run_now()
        if job.state == State.SCHEDULED:
            job.due = None
            self.model.admit(job)
        else:
            job.state, job.slot = State.READY, False

    @precondition(lambda self: self.model.in_state(State.FINISHED))
    @rule()
    def clear_finished(self) -> None:
        finished = self.model.in_state(State.FINISHED)
        assert self.queue.clear_finished(0) == len(finished)
        for job in finished:
            del self.model.jobs[job.id]

    # --- time and death ---------------------------------------------------------------------------

    @precondition(lambda self: self.model.in_state(State.SCHEDULED))
    @rule(data=st.data())
    def ripen(self, data: st.DataObject) -> None:
        """Let some scheduled jobs become due, one behind the other."""
        waiting = self.model.in_state(State.SCHEDULED)
        for job in data.draw(st.lists(st.sampled_from(waiting), unique_by=lambda job: job.id, min_size=1, max_size=3)):
            self.ripened += 1
            job.due = self.ripened
            change(self.queue, job.id, scheduled_at=datetime(2001, 1, 1) + timedelta(seconds=self.ripened))

    @precondition(lambda self: self.model.in_state(State.SCHEDULED))
    @rule(batch_size=st.integers(1, 3))
    def dispatch(self, batch_size: int) -> None:
        due = sorted((job for job in self.model.in_state(State.SCHEDULED) if job.due), key=lambda job: job.due or 0)
        database, definitions = self.queue.database, self.queue.definitions
        moved = database.transact(lambda connection: dispatch(connection, definitions, batch_size=batch_size))
        assert moved == len(due[:batch_size])
        for job in due[:batch_size]:
            job.due = None
            self.model.admit(job)

    @precondition(lambda self: self.model.holders())
    @rule(data=st.data())
    def let_a_slot_expire(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.model.holders()))
        change(self.queue, job.id, expires_at=ago(1))
        job.slot = False
        assert job.key is not None
        self.model.loose.add(job.key)

    @rule()
    def look_after_blocked_jobs(self) -> None:
        with self.queue.database.connect() as connection:
            keys = blocked_keys(connection, limit=100)
            firsts = first_in_lines(connection, keys)
        assert keys == sorted({job.key or "" for job in self.model.in_state(State.BLOCKED)})
        for key in keys:
            if may_come_in(firsts.get(key), self.queue.definitions):
                self.queue.database.transact(
                    lambda one, key=key: unblock(one, [key], self.queue.definitions, at_most=1)  # type: ignore[misc]
                )
            self.model.let_in(key, at_most=1)

    def lose_claims_of(self, worker: WorkerByHand) -> list[Job]:
        lost = [(owner, claim) for owner, claim in self.claims if owner is worker]
        self.claims = [(owner, claim) for owner, claim in self.claims if owner is not worker]
        self.lost += lost
        return [self.model.jobs[claim.job_id] for _, claim in lost]

    @rule(which=st.integers(0, 1))
    def leave(self, which: int) -> None:
        """A worker ends in good order but for what it still holds, and another one takes its place."""
        worker = self.workers[which]
        released = worker.release()
        worker.vanish()
        self.workers[which] = WorkerByHand(self.queue)
        jobs = self.lose_claims_of(worker)
        assert sorted(released) == sorted(job.id for job in jobs)
        for job in jobs:
            job.state, job.owner = State.READY, None

    @rule(which=st.integers(0, 1), how=st.sampled_from(["vanish", "fall_silent"]))
    def die(self, which: int, how: str) -> None:
        """A worker dies, a supervisor finds it dead, and another one takes its place."""
        worker = self.workers[which]
        getattr(worker, how)()
        supervisor(self.queue).run_if_due()
        jobs = self.lose_claims_of(worker)
        for job in jobs:
            job.crashes, job.begun, job.owner = job.crashes + 1, True, None
            if job.kind.on_crash == "retry" and job.crashes < MAX_CRASHES:
                job.state = State.READY
            else:
                job.state, job.slot = (State.FINISHED if job.kind.on_crash == "discard" else State.FAILED), False
        for key in sorted({job.key for job in jobs if job.key}):
            self.model.let_in(key)
        self.workers[which] = WorkerByHand(self.queue)

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def the_table_is_as_predicted(self) -> None:
        with self.queue.database.connect() as connection:
            rows = connection.execute(TABLE).all()
        self.each_job_is_in_the_one_state(rows)
        self.slots_are_respected(rows)

    def each_job_is_in_the_one_state(self, rows: Sequence[Any]) -> None:
        """I1, I2, I4: in the state that it should be in, with the owner that it should have, and no job too many."""
        found = {row.id: (row.state, row.process_id) for row in rows}
        assert found == {job.id: (job.state.value, job.owner) for job in self.model.jobs.values()}
        assert {job.owner for job in self.model.in_state(State.CLAIMED)} <= {worker.id for worker in self.workers}

    def slots_are_respected(self, rows: Sequence[Any]) -> None:
        """I3: no key has more holders than slots, and nobody waits for a free one."""
        held = Counter(row.concurrency_key for row in rows if row.holds and row.state in ("ready", "claimed"))
        for key in {job.key for job in self.model.jobs.values() if job.key}:
            assert held[key] <= (KINDS[key.split("/")[0]].to or 0)
            assert not (self.model.line(key) and self.model.free(key)) or key in self.model.loose


@pytest.mark.behaviour("D8", "F3", "F5", "F12", "F16", "E7", "K3")
def test_every_arrow_in_any_order(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    declared: dict[str, JobDefinition[Any, Any]] = {}
    for name, kind in KINDS.items():
        if kind.to:
            on_conflict = "discard" if kind.discards else "block"
            declared[name] = limited(queue, name, to=kind.to, on_conflict=on_conflict, options={"on_crash": kind.on_crash})
        else:
            declared[name] = plain(queue, name, on_crash=kind.on_crash)
    machine = type("MachineHere", (Machine,), {"queue": queue, "tables": tables, "declared": declared})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            phases=[Phase.generate],  # to shrink a failure takes longer than a test may
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
