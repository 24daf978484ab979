"""Values that tests send as arguments: enumerations, and what stands for mapped instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto

from flask_queue.errors import ArgumentError, DeserializationError


class Color(Enum):
    RED = "red"
    GREEN = ["any", "value"]
    ALSO_RED = "red"


class Right(Flag):
    READ = auto()
    WRITE = auto()


@dataclass(frozen=True)
class User:
    """Stands for a mapped class."""

    id: object


class Rows:
    """A database of users."""

    def __init__(self, *users: User) -> None:
        self.users = users

    def refer(self, value: object) -> tuple[str, Sequence[object]] | None:
        if not isinstance(value, User):
            return None
        if value.id is None:
            raise ArgumentError("a User without a primary key cannot travel: flush or commit the session before enqueuing.")
        return "app:User", (value.id,)

    def load(self, name: str, key: Sequence[object]) -> object:
        for user in self.users:
            if name == "app:User" and [user.id] == list(key):
                return user
        raise DeserializationError(f"{name} {key} does not exist any more.")
