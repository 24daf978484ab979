"""What users may do: three roles, each of which includes those before it."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """What a user may do; each includes those before it."""

    VIEWER = 1  # sees pages
    OPERATOR = 2  # retries, discards, runs now, pauses and resumes
    ADMIN = 3  # clears, acts in bulk, changes recurring tasks

    @property
    def label(self) -> str:
        return self.name.lower()


ROLES = {role.label: role for role in Role}
