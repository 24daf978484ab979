"""Which queues a worker serves, and in which order: "*", names, and prefixes such as "mail*"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select

from ..config.values import complaint_of_selector, selectors
from ..database import Hops, Prepared
from ..models.job import State, jobs
from ..models.pause import pauses
from ..models.seek import along

_PAUSED = Prepared(lambda: select(pauses.c.queue_name))


def _first_name(where: ColumnElement[bool]) -> Select[Any]:
    # Not min(): PostgreSQL would read all names, where it has to look for the first one behind another.
    return select(jobs.c.queue_name.label("value")).where(along(State.READY), where).order_by(jobs.c.queue_name).limit(1)


# One state, as a range of states: of the groups within an equality MariaDB reads all members.
_AMONG_READY = jobs.c.state.between(literal_column("'ready'"), literal_column("'ready'"))
_NAMES = Hops(
    lambda place: _first_name(jobs.c.queue_name >= place),
    lambda place: _first_name(jobs.c.queue_name > place),
    select(jobs.c.state, jobs.c.queue_name).distinct().where(_AMONG_READY),
    jobs.c.queue_name,
)


@dataclass(frozen=True, slots=True)
class Selector:
    """A worker's list of queues, in order of preference."""

    entries: tuple[str, ...]

    @classmethod
    def parse(cls, queues: Sequence[str]) -> Selector:
        """Read a list such as ["real_time", "mail*"]; "*" among others means all queues.

        Entries that can select nothing, as with a star elsewhere than at the end, are left out.
        """
        entries = [selector for selector in selectors(queues) if complaint_of_selector(selector) is None]
        return cls(("*",) if "*" in entries else tuple(dict.fromkeys(entries)))

    @property
    def takes_all(self) -> bool:
        """Whether every queue is served, whatever its name."""
        return self.entries == ("*",)

    def names(self, connection: Connection) -> list[str]:
        """The queues to ask, in order: each entry's, those of a prefix by name. Paused ones are left out."""
        paused = paused_names(connection)
        found: dict[str, None] = {}
        for entry in self.entries:
            if entry.endswith("*"):
                found.update(dict.fromkeys(ready_names(connection, entry[:-1])))
            else:
                found[entry] = None
        return [name for name in found if name not in paused]


def paused_names(connection: Connection) -> set[str]:
    """The names of all paused queues."""
    return {name for (name,) in _PAUSED.rows(connection, {})}


def unpaused_names(connection: Connection) -> list[str]:
    """The names of all queues with ready jobs that are not paused, sorted."""
    paused = paused_names(connection)
    return [name for name in ready_names(connection) if name not in paused]


def ready_names(connection: Connection, prefix: str = "") -> list[str]:
    """The names of the queues with ready jobs that begin with `prefix`, sorted."""
    return _NAMES.values(connection, prefix)
