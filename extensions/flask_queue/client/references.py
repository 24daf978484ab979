"""Instances of mapped classes as arguments: they travel as class and key, and are loaded again when the job runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.state import InstanceState

from ..errors import ArgumentError, DeserializationError


class MappedReferences:
    """Names mapped instances, and finds them back among the classes that the application has mapped."""

    def __init__(self, session: Callable[[], Session], mappers: Callable[[], Iterable[Mapper[Any]]]) -> None:
        self._session = session
        self._mappers = mappers

    def refer(self, value: object) -> tuple[str, Sequence[object]] | None:
        """The class and the primary key of a mapped instance; None for anything else.

        :raises ArgumentError: when it has no key yet.
        """
        state = inspect(value, raiseerr=False)
        if not isinstance(state, InstanceState):
            return None
        if not state.has_identity or state.identity is None:
            raise ArgumentError(
                f"a {type(value).__name__} without a primary key cannot travel: flush or commit the session before enqueuing."
            )
        return _name(state.mapper), state.identity

    def load(self, name: str, key: Sequence[object]) -> object:
        """The instance that `refer` named.

        :raises DeserializationError: when its class is not mapped any more, or its row is gone.
        """
        mapped = {_name(mapper): mapper.class_ for mapper in self._mappers()}.get(name)
        if mapped is None:
            raise DeserializationError(f"{name} is no mapped class of this application.")
        instance = self._session().get(mapped, tuple(key))
        if instance is None:
            raise DeserializationError(f"{mapped.__name__} {', '.join(map(str, key))} does not exist any more.")
        return instance


def _name(mapper: Mapper[Any]) -> str:
    return f"{mapper.class_.__module__}:{mapper.class_.__qualname__}"
