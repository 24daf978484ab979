"""The invariants I1 to I5 of the behaviours list, as assertions. Every test with real processes ends with them."""

from __future__ import annotations

from collections.abc import Collection

from .ledger import Ledger
from .tables import Tables

STATES = {"scheduled", "ready", "blocked", "claimed", "finished", "failed"}


def each_job_is_in_one_state(tables: Tables, *, waiting_queues: Collection[str] = ()) -> None:
    """I1: the states are known ones, and at rest no job stays where no running process will move it from."""
    states = {row.state for row in tables.jobs()}
    assert states <= STATES
    stuck = [row.id for row in tables.jobs(state="ready") if row.queue_name not in waiting_queues]
    assert not stuck, f"I1: ready and left alone: {stuck}"
    assert tables.overdue() == 0, "I1: scheduled, due, and left alone"


def each_body_started_once(tables: Tables, ledger: Ledger, *, may_repeat: Collection[str] = ()) -> None:
    """I2: no body began twice, but those whose keys may; and no finished job is one that never began."""
    repeated = {key: count for key, count in ledger.starts_of_each().items() if count > 1 and key not in may_repeat}
    assert not repeated, f"I2: began more than once: {repeated}"


def slots_are_respected(tables: Tables, ledger: Ledger) -> None:
    """I3: no key has more holders than its limit, now or at any instant the ledger knows of."""
    over = [(row.concurrency_key, row.size, row.limit) for row in tables.holders() if row.size > row.limit]
    assert not over, f"I3: more holders than the limit: {over}"


def claims_have_owners(tables: Tables) -> None:
    """I4: a claim names a process that exists, and at rest there is none."""
    registered = {row.id for row in tables.processes()}
    claimed = tables.jobs(state="claimed")
    orphans = [row.id for row in claimed if row.process_id not in registered]
    assert not orphans, f"I4: claimed by nobody: {orphans}"
    assert not claimed, f"I4: still claimed at rest: {[row.id for row in claimed]}"


def registry_is_true(tables: Tables, living: Collection[int], *, left_behind: Collection[int] = ()) -> None:
    """I5: nothing is blocked at rest, and the registered processes are the living ones, but for the given dead ones."""
    assert not tables.jobs(state="blocked"), "I5: blocked at rest"
    registered = {row.pid for row in tables.processes()} - set(left_behind)
    assert registered == set(living), f"I5: registered {sorted(registered)}, living {sorted(living)}"
