"""The registry of processes: who is there, who still beats, who is dead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, literal_column, select, update

from ..database import AnyRow, Insertion, Prepared, now, now_plus
from ..models.process import Kind, processes

_GIVEN = ("kind", "name", "pid", "hostname", "metadata", "supervisor_id")


def _registration(*columns: str) -> Insertion:
    given = {name: bindparam(name, type_=processes.c[name].type) for name in columns}
    return Insertion(processes, {**given, "started_at": now(), "last_heartbeat_at": now()})


_THIS = processes.c.id == bindparam("process_id")
# Prepared not because they are run often, but because every process runs them: what SQLAlchemy does around an execution takes
# two megabytes of what a forked process would share with its parent.
_REGISTER = _registration(*_GIVEN)
_REGISTER_AGAIN = _registration("id", *_GIVEN)
_BEAT = Prepared(lambda: update(processes).where(_THIS).values(last_heartbeat_at=now()))
_DESCRIBE = update(processes).where(_THIS).values(metadata=bindparam("description"))
_DEREGISTER = Prepared(lambda: delete(processes).where(_THIS))
_ALL = select(processes, now().label("now")).order_by(processes.c.id)
_CHILD_PIDS = Prepared(lambda: select(processes.c.pid).where(processes.c.supervisor_id == bindparam("supervisor_id")))
_IS_DEAD = (processes.c.last_heartbeat_at < now_plus(-bindparam("threshold")), processes.c.id != bindparam("except_id"))
_IS_ANY_DEAD = Prepared(lambda: select(literal_column("1")).where(*_IS_DEAD).limit(1))
_DEAD = select(processes).where(*_IS_DEAD).order_by(processes.c.id).limit(bindparam("limit")).with_for_update(skip_locked=True)


def register(
    connection: Connection,
    kind: Kind,
    name: str,
    *,
    pid: int,
    hostname: str,
    metadata: dict[str, Any],
    supervisor_id: int | None = None,
    process_id: int | None = None,
) -> int:
    """Enter a process that has just started.

    :param process_id: the id that it had, for one whose registration got lost.
    :return: its id, which no other process ever gets.
    """
    values = {
        "kind": kind.value,
        "name": name,
        "pid": pid,
        "hostname": hostname,
        "metadata": metadata,
        "supervisor_id": supervisor_id,
    }
    if process_id is None:
        return _REGISTER(connection, values)
    _REGISTER_AGAIN(connection, {**values, "id": process_id})
    return process_id


def heartbeat(connection: Connection, process_id: int) -> bool:
    """Say that a process is alive; False when its registration is gone."""
    return _BEAT.count(connection, {"process_id": process_id}) == 1


def describe(connection: Connection, process_id: int, metadata: dict[str, Any]) -> None:
    """Replace what a process says of itself."""
    connection.execute(_DESCRIBE, {"process_id": process_id, "description": metadata})


def deregister(connection: Connection, process_id: int) -> bool:
    """Remove a process; whether it was there. What it had claimed is for `recover` to move first."""
    return _DEREGISTER.count(connection, {"process_id": process_id}) == 1


def registered(connection: Connection) -> Sequence[AnyRow]:
    """All registered processes, the oldest first; `now` says when that was."""
    return connection.execute(_ALL).all()


def find(connection: Connection, *, pid: int, hostname: str, supervisor_id: int) -> AnyRow | None:
    """The registration of a supervisor's child on this host."""
    return connection.execute(
        select(processes).where(
            processes.c.pid == pid, processes.c.hostname == hostname, processes.c.supervisor_id == supervisor_id
        )
    ).first()


def children(connection: Connection, supervisor_id: int) -> Sequence[AnyRow]:
    """The processes that a supervisor started."""
    return connection.execute(select(processes).where(processes.c.supervisor_id == supervisor_id)).all()


def child_pids(connection: Connection, supervisor_id: int) -> list[int]:
    """The pids of `children`."""
    return [pid for (pid,) in _CHILD_PIDS.rows(connection, {"supervisor_id": supervisor_id})]


def anyone_dead(connection: Connection, *, threshold: float, except_id: int) -> bool:
    """Whether `lock_dead` could find somebody: a look that locks nothing."""
    return bool(_IS_ANY_DEAD.rows(connection, {"threshold": threshold, "except_id": except_id}))


def lock_dead(connection: Connection, *, threshold: float, except_id: int, limit: int) -> Sequence[AnyRow]:
    """Processes whose last heartbeat is older than `threshold` seconds, locked so that only one supervisor prunes each."""
    return connection.execute(_DEAD, {"threshold": threshold, "except_id": except_id, "limit": limit}).all()
