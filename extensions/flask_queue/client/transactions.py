"""Things to do when a session's transaction commits, and to forget when it ends otherwise, savepoints included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

_KEY = "flask_queue.on_commit"
_Action = Callable[[], Any]


class _Wait(NamedTuple):
    """What is to be done, and at the end of which transaction; of none any more once that was committed."""

    of: SessionTransaction | None
    action: _Action
    otherwise: _Action


def _nothing() -> None: ...


def on_commit(session: Session, action: _Action, *, otherwise: _Action = _nothing) -> None:
    """Call `action` once when the transaction that `session` is in has been committed; now, when there is none.

    An action that raises keeps no other from being called; the first error comes out of `session.commit()`.

    :param otherwise: called instead when the transaction ends without a commit; it must not raise.
    """
    transaction = session.get_nested_transaction() or session.get_transaction()
    if transaction is None:
        action()
        return
    if _KEY not in session.info:
        session.info[_KEY] = []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_transaction_end", _ended)
    session.info[_KEY].append(_Wait(transaction, action, otherwise))


def _committed(session: Session) -> None:
    """What a savepoint did is now its parent's to commit. The outermost transaction has none."""
    ended = session.get_nested_transaction() or session.get_transaction()
    assert ended is not None
    waiting: list[_Wait] = session.info[_KEY]
    session.info[_KEY] = [wait._replace(of=ended.parent) if wait.of is ended else wait for wait in waiting]


def _ended(session: Session, transaction: SessionTransaction) -> None:
    """Forget what still waits for a transaction that is over: rolled back, or just closed. Do what was committed."""
    kept: list[_Wait] = []
    forgotten: list[_Wait] = []
    for wait in session.info[_KEY]:
        (forgotten if _is_within(wait.of, transaction) else kept).append(wait)
    session.info[_KEY] = [wait for wait in kept if wait.of is not None]
    for wait in forgotten:
        wait.otherwise()
    _call_all([wait.action for wait in kept if wait.of is None])


def _call_all(actions: list[_Action]) -> None:
    errors = [error for action in actions if (error := _error_of(action)) is not None]
    if errors:
        raise errors[0]


def _error_of(action: _Action) -> Exception | None:
    try:
        action()
    except Exception as error:
        return error
    return None


def _is_within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while inner is not None:
        if inner is outer:
            return True
        inner = inner.parent
    return False
