"""Which queues a worker serves, and in which order: "*", names, and prefixes such as "mail*"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from ..models.job import State, is_ready, jobs
from ..models.pause import pauses
from ..models.seek import after, at_least

_PAUSED = select(pauses.c.queue_name)
# Not min(): PostgreSQL would read all names, where it has to look for the first one behind another.
_FIRST_NAME = select(jobs.c.queue_name).where(is_ready).order_by(jobs.c.queue_name).limit(1)
_NEXT_NAME = _FIRST_NAME.where(after(State.READY, jobs.c.queue_name, bindparam("after", type_=jobs.c.queue_name.type)))
_FIRST_LIKE = _FIRST_NAME.where(at_least(State.READY, jobs.c.queue_name, bindparam("prefix", type_=jobs.c.queue_name.type)))


@dataclass(frozen=True, slots=True)
class Selector:
    """A worker's list of queues, in order of preference."""

    entries: tuple[str, ...]

    @classmethod
    def parse(cls, queues: Sequence[str]) -> Selector:
        """Read a list such as ["real_time", "mail*"]; "*" among others means all queues.

        Entries with a star elsewhere than at the end mean nothing and are left out.
        """
        names = [name.strip() for entry in queues for name in entry.split(",")]
        entries = [name for name in names if name and "*" not in name[:-1]]
        return cls(("*",) if "*" in entries else tuple(dict.fromkeys(entries)))

    @property
    def takes_all(self) -> bool:
        """Whether every queue is served, whatever its name."""
        return self.entries == ("*",)

    @property
    def has_prefixes(self) -> bool:
        """Whether names have to be looked up in the database."""
        return any(entry.endswith("*") for entry in self.entries)

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
    return set(connection.execute(_PAUSED).scalars())


def ready_names(connection: Connection, prefix: str = "") -> list[str]:
    """The names of the queues with ready jobs that begin with `prefix`, sorted.

    It hops along the index from one name to the next, so that a million rows of one queue cost no more than one.
    """
    name = connection.execute(_FIRST_LIKE, {"prefix": prefix}).scalar() if prefix else connection.execute(_FIRST_NAME).scalar()
    names = []
    while name is not None and name.startswith(prefix):
        names.append(name)
        name = connection.execute(_NEXT_NAME, {"after": name}).scalar()
    return names
