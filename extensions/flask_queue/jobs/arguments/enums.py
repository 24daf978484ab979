"""Members of enumerations by name. A name from the database finds only what the application has imported already."""

from __future__ import annotations

import sys
from enum import Enum, Flag
from types import ModuleType

from ...errors import DeserializationError


def name_member(member: Enum) -> tuple[str, str] | None:
    """Give ("module:Class", "MEMBER") or, for combined flags, ("module:Class", "ONE|OTHER"); None if that leads nowhere."""
    kind, name = type(member), member.name or ""
    class_name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        found = find_member(class_name, name)
    except DeserializationError:
        return None
    return (class_name, name) if found is member else None


def find_member(class_name: str, name: str) -> Enum:
    """Give the member of that name, of an enumeration in a module that is loaded.

    :raises DeserializationError: if there is none.
    """
    kind = _find_class(class_name)
    if kind is None:
        raise DeserializationError(
            f"There is no enumeration {class_name} in what this process has imported. "
            "Was it renamed, or is its module imported only where the job was enqueued?"
        )
    try:
        return _combine(kind, name) if issubclass(kind, Flag) else kind[name]
    except KeyError:
        raise DeserializationError(f"The enumeration {class_name} has no member {name} any more.") from None


def _find_class(class_name: str) -> type[Enum] | None:
    """Follow the path through the dictionaries only: attribute access may run code, and import may too."""
    module_name, _, path = class_name.partition(":")
    found: object = sys.modules.get(module_name)
    for name in path.split("."):
        if not isinstance(found, ModuleType | type):
            return None
        found = vars(found).get(name)
    return found if isinstance(found, type) and issubclass(found, Enum) else None


def _combine(kind: type[Flag], names: str) -> Flag:
    flags = kind(0)
    for name in names.split("|") if names else ():
        flags |= kind[name]
    return flags
