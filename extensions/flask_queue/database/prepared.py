"""Statements of the hot path: SQLAlchemy writes them, once for each kind of database, and the driver runs them.

What SQLAlchemy does around each execution (parameters, results, events) takes longer than SQLite takes for the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakSet

from sqlalchemy import ClauseElement, Connection, Delete, Dialect, Executable, Update, literal_column
from sqlalchemy.sql.selectable import HasCTE

from .driver import DIRECT, Values, all_rows, last_id, row_count, run, takes_detour, waiting_on

#: A row as the driver gives it.
PlainRow: TypeAlias = tuple[Any, ...]
_Binder: TypeAlias = Callable[[Mapping[str, Any]], Values]


class Prepared:
    """A statement that takes and returns numbers and text at most: drivers differ over anything else.

    SQLAlchemy runs it where somebody watches or reads its log, and on MySQL and MariaDB, where a statement's text depends on
    the length of its lists.
    """

    def __init__(
        self, make: Callable[[], Executable], *, written_for: str | None = None, leads: bool = False, follows: bool = False
    ) -> None:
        """
        :param make: makes the statement; called when it is first wanted.
        :param written_for: the one database whose processes run it, so that it is to be written before they fork; None for
            all databases. Others may run it as well.
        :param leads: those that follow are often run `after` it.
        :param follows: it is often run `after` those that lead.
        """
        _all.add(self)
        self._make = make
        self.written_for = written_for
        self._statement: Executable | None = None
        self._leads = leads
        self._follows = follows
        self._ready: dict[str, tuple[str, _Binder]] = {}
        self._after: dict[Prepared, Prepared] = {}

    @property
    def statement(self) -> Executable:
        """As SQLAlchemy runs it: the same one each time, as to make it takes longer than to run it."""
        if self._statement is None:
            self._statement = self._make()
        return self._statement

    def after(self, another: Prepared) -> Prepared:
        """Both in one statement, for PostgreSQL: one message to the server instead of two. This one does not see what the other
        one, an update or a deletion, has changed.
        """
        if another not in self._after:
            self._after[another] = Prepared(lambda: self._with_ahead(another), written_for="postgresql")
        return self._after[another]

    def _with_ahead(self, another: Prepared) -> Executable:
        own, ahead = self._make(), another._make()
        assert isinstance(own, HasCTE)
        assert isinstance(ahead, Update | Delete)
        return own.add_cte(ahead.returning(literal_column("1")).cte("ahead"))

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[PlainRow]:
        """Run it, and return the rows that it returns."""
        if takes_detour(connection):
            return [tuple(row) for row in connection.execute(self.statement, parameters)]
        return self._run(connection, parameters, all_rows)  # type: ignore[no-any-return]

    def count(self, connection: Connection, parameters: Mapping[str, Any]) -> int:
        """Run it, and return how many rows it has changed."""
        if takes_detour(connection):
            return int(connection.execute(self.statement, parameters).rowcount)
        return int(self._run(connection, parameters, row_count))

    def insert(self, connection: Connection, parameters: Mapping[str, Any]) -> int:
        """Run it on a database that numbers rows without RETURNING, and return the new row's id."""
        if takes_detour(connection):
            return int(connection.execute(self.statement, parameters).lastrowid)
        return int(self._run(connection, parameters, last_id))

    def send(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        """Run it, whatever comes of that: at once, or where statements are `gathered` right before the next one."""
        waiting = waiting_on(connection)
        if waiting is None:
            self.count(connection, parameters)
        else:
            text, bind = self._written(connection.dialect)
            waiting.append((text, bind(parameters)))

    def _run(self, connection: Connection, parameters: Mapping[str, Any], outcome: Callable[[Any], Any]) -> Any:
        text, bind = self._written(connection.dialect)
        return run(connection, text, bind(parameters), outcome)

    def _written(self, dialect: Dialect) -> tuple[str, _Binder]:
        return self._ready.get(dialect.name) or self._prepare(dialect)

    def _prepare(self, dialect: Dialect) -> tuple[str, _Binder]:
        statement = self._make()
        assert isinstance(statement, ClauseElement)
        compiled: Any = statement.compile(dialect=dialect)
        ready = self._ready[dialect.name] = (str(compiled), _binder(compiled, dialect))
        return ready


def prepare_all(dialect: Dialect) -> None:
    """Have all statements written for a database beforehand: so that processes that are forked next share them."""
    if dialect.name not in DIRECT:
        return
    if dialect.name == "postgresql":
        for leader, follower in product(list(_all), repeat=2):
            if leader._leads and follower._follows:
                follower.after(leader)
    for prepared in list(_all):
        if prepared.written_for in (None, dialect.name):
            prepared._written(dialect)


_all: WeakSet[Prepared] = WeakSet()


class Step(NamedTuple):
    """A statement that changes rows, with its parameters."""

    statement: Prepared
    parameters: Mapping[str, Any]

    def take(self, connection: Connection) -> int:
        """Run it; how many rows it has changed."""
        return self.statement.count(connection, self.parameters)

    def send(self, connection: Connection) -> None:
        """Run it, whatever comes of that; see `Prepared.send`."""
        self.statement.send(connection, self.parameters)


def _binder(compiled: Any, dialect: Dialect) -> _Binder:
    """Brings parameters into the form and order that the driver wants."""
    fixed = dict(compiled.params)
    convert = {
        name: processor
        for name, bind in compiled.binds.items()
        if (processor := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    }
    order = compiled.positiontup

    def bind(parameters: Mapping[str, Any]) -> Values:
        values = {**fixed, **parameters}
        for name, processor in convert.items():
            values[name] = processor(values[name])
        return values if order is None else [values[name] for name in order]

    return bind
