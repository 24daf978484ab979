"""What this package must be told about mapped classes, of which it knows nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class References(Protocol):
    """Names instances of mapped classes, and finds them again."""

    def refer(self, value: object) -> tuple[str, Sequence[object]] | None:
        """Give the class and the primary key of a mapped instance, or None if it is none.

        :raises ArgumentError: if it has no key yet.
        """

    def load(self, name: str, key: Sequence[object]) -> object:
        """Give the instance that `refer` named.

        :raises DeserializationError: if its class or its row is gone.
        """
