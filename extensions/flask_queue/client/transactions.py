"""Things to do when a session's transaction commits, and to forget when it ends otherwise, savepoints included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

_KEY = "flask_queue.on_commit"
_Action = Callable[[], Any]
#: What waits, and for the end of which transaction; for none any more once that was committed. Last, what to do without one.
_Waiting = list[tuple[SessionTransaction | None, _Action, _Action]]


def _do_nothing() -> None:
    pass


def on_commit(session: Session, action: _Action, *, otherwise: _Action = _do_nothing) -> None:
    """Call `action` once when the transaction that `session` is in has been committed; now, when there is none.

    An action that raises keeps no other from being called; the first error comes out of `session.commit()`.

    :param otherwise: called instead when the transaction ends without a commit.
    """
    transaction = session.get_nested_transaction() or session.get_transaction()
    if transaction is None:
        action()
        return
    if _KEY not in session.info:
        session.info[_KEY] = []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_transaction_end", _ended)
    session.info[_KEY].append((transaction, action, otherwise))


def _committed(session: Session) -> None:
    """What a savepoint did is now its parent's to commit. The outermost transaction has none."""
    ended = session.get_nested_transaction() or session.get_transaction()
    assert ended is not None
    waiting: _Waiting = session.info[_KEY]
    session.info[_KEY] = [(ended.parent if of is ended else of, action, otherwise) for of, action, otherwise in waiting]


def _ended(session: Session, transaction: SessionTransaction) -> None:
    """Forget what still waits for a transaction that is over: rolled back, or just closed. Do what was committed."""
    waiting: _Waiting = session.info[_KEY]
    session.info[_KEY] = [one for one in waiting if one[0] is not None and not _is_within(one[0], transaction)]
    forgotten = [otherwise for of, _, otherwise in waiting if _is_within(of, transaction)]
    _call_all([*forgotten, *(action for of, action, _ in waiting if of is None)])


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
