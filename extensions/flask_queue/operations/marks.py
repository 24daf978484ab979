"""How far a worker has come in a line, so that it does not step again and again over what is gone.

PostgreSQL keeps what is gone in its indexes until it is cleaned up, which one transaction that somebody left open prevents:
each claim would step over all jobs since then. So a worker goes on where it left off. The beginning of the line it reads when
there is nothing behind, and else as often as a small part of its time allows, for jobs that have become ready again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, Select, and_, bindparam, literal_column, or_, select, tuple_

from ..models.job import State, jobs
from ..models.seek import along

#: To find the beginning of a line so quickly, in seconds, is no reason to leave it out.
QUICK = 0.002
#: The part of its time in which a worker may read a line from the beginning while there is more behind its mark.
SHARE = 0.1
#: For so long, in seconds, a mark or a name does at most: reading may have taken long because the whole machine stood still.
LONGEST = 30.0

_PLACE = tuple_(bindparam("mark_priority", type_=jobs.c.priority.type), bindparam("mark_id", type_=jobs.c.id.type))


def behind_mark(of_queue: ColumnElement[str] | None = None) -> ColumnElement[bool]:
    """The jobs of the same priority behind a mark in a line; none at all when there are any with a smaller number.

    :param of_queue: the name of the one queue that the line is of.
    """
    others = jobs.alias("others")
    urgent = _first_of(others, of_queue, others.c.priority < bindparam("mark_priority"))
    return and_(_follows(jobs), jobs.c.priority <= bindparam("mark_priority"), urgent.is_(None))


def anything_but_before_mark(of_queue: ColumnElement[str] | None = None) -> Select[Any]:
    """Whether a look from a mark finds anything: of its priority behind it, or of any other one.

    It is not what a claim from there takes, but then the claim tells that there may be more.

    :param of_queue: see `behind_mark`.
    """
    urgent, behind = jobs.alias("urgent"), jobs.alias("behind")
    found = (
        _first_of(urgent, of_queue, urgent.c.priority < bindparam("mark_priority")),
        _first_of(behind, of_queue, _follows(behind)),
    )
    return select(literal_column("1")).where(or_(*(one.is_not(None) for one in found)))


def _first_of(rows: FromClause, of_queue: ColumnElement[str] | None, *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    line = along(State.READY, rows)
    if of_queue is not None:
        line = and_(line, rows.c.queue_name == of_queue)
    # In the order of the index that has them all together: the planner would take another one.
    return select(literal_column("1")).where(line, *where).order_by(rows.c.priority, rows.c.id).limit(1).scalar_subquery()


def _follows(rows: FromClause) -> ColumnElement[bool]:
    """Behind the mark. As a pair, so that the search begins at the mark, and in no index but that of the line."""
    return tuple_(rows.c.priority, rows.c.id) > _PLACE


@dataclass
class _Mark:
    place: tuple[int, int] | None = None
    valid_until: float = float("-inf")


class Marks:
    """A mark in each line that a worker claims from, by the name of the queue; None for the line of all queues."""

    def __init__(self, quick: float = QUICK, share: float = SHARE, longest: float = LONGEST) -> None:
        self._quick = quick
        self._share = share
        self._longest = longest
        self._marks: defaultdict[str | None, _Mark] = defaultdict(_Mark)
        self._names: list[str] = []
        self._names_valid_until = float("-inf")
        #: There was less than was wanted, and may be more where nobody has looked.
        self.have_missed = False

    def place(self, line: str | None) -> Mapping[str, int] | None:
        """What `behind_mark` asks for; None when the line is to be read from its beginning."""
        mark = self._marks[line]
        if mark.place is None or time.monotonic() >= mark.valid_until:
            return None
        return dict(zip(("mark_priority", "mark_id"), mark.place, strict=True))

    def hold(self, line: str | None, seconds: float) -> None:
        """A line has been read from its beginning. The longer it took, the longer it does for."""
        if seconds > self._quick:
            self._marks[line].valid_until = self._does_until(seconds)

    def names(self, read: Callable[[], list[str]]) -> tuple[list[str], bool]:
        """The queues to claim from: what `read` finds, or what it has found, which does for the longer the longer it took.

        :return: the names, and whether there may be others by now.
        """
        began = time.monotonic()
        if began < self._names_valid_until:
            return self._names, True
        self._names = read()
        seconds = time.monotonic() - began
        if seconds > self._quick:
            self._names_valid_until = self._does_until(seconds)
        return self._names, False

    def _does_until(self, seconds: float) -> float:
        """Until when not to read again what has taken so long."""
        return time.monotonic() + min(seconds / self._share, self._longest)

    def move(self, line: str | None, priority: int, job_id: int) -> None:
        """All ready jobs of a line up to this one have been taken."""
        self._marks[line].place = priority, job_id

    def miss(self) -> None:
        """There was less behind a mark, or in the queues of old, than was wanted. Next time all is read from the beginning."""
        for mark in list(self._marks.values()):  # another thread may look at one more line meanwhile
            mark.valid_until = float("-inf")
        self._names_valid_until = float("-inf")
        self.have_missed = True
