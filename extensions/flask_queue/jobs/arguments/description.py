"""Arguments for people to read: `1, name="x"`. Nothing is loaded or rebuilt, and secrets are left out."""

from __future__ import annotations

import inspect
import json
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

_FILTERED = "[FILTERED]"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def positional_names(function: Callable[..., Any]) -> list[str]:
    """What a function calls its positional arguments; all further ones are called as the last of these."""
    try:
        return [name for name, one in inspect.signature(function).parameters.items() if one.kind in _POSITIONAL]
    except ValueError:  # some that are written in C do not say
        return []


def describe(text: str, filtered: Collection[str] = (), names: Sequence[str] = ()) -> str:
    """Show stored arguments as they would stand in a call.

    :param filtered: words; the value of an argument or a dict key whose name has one of them in it, in any case, is shown as
        [FILTERED].
    :param names: what positional arguments are called, as by `positional_names`; without it they have no names.
    :return: never an error: a text that is no list of arguments is shown as it is, unless it mentions a filtered word.
    """
    description = _Description(filtered, names)
    try:
        return description.call(json.loads(text))
    except Exception:  # whatever is in the database, the page that shows it must come up
        return _FILTERED if description.hides(text) else text


class _Description:
    """How each kind of value is shown, given the words to hide."""

    def __init__(self, filtered: Collection[str], names: Sequence[str]) -> None:
        self._words = [word.lower() for word in filtered if word]
        self._names = names

    def hides(self, name: str) -> bool:
        lower = name.lower()
        return any(word in lower for word in self._words)

    def call(self, value: Any) -> str:
        if isinstance(value, list):
            return self._positional(value)
        args, kwargs = value.pop("args"), value.pop("kwargs")
        if value or not isinstance(args, list):
            raise ValueError
        pairs = kwargs["$dict"] if "$dict" in kwargs else kwargs.items()
        return ", ".join(filter(None, [self._positional(args), *(self._mark(name, item) for name, item in pairs)]))

    def _positional(self, args: list[Any]) -> str:
        names = chain(self._names, repeat(self._names[-1] if self._names else None))
        return ", ".join(self._under(name, item) for name, item in zip(names, args, strict=False))

    def _mark(self, name: str, value: Any) -> str:
        return f"{name}={self._under(name, value)}"

    def _joined(self, values: Iterable[Any]) -> str:
        return ", ".join(map(self._show, values))

    def _under(self, name: object, value: Any) -> str:
        return _FILTERED if isinstance(name, str) and self.hides(name) else self._show(value)

    def _show(self, value: Any) -> str:
        if isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, list):
            return f"[{self._joined(value)}]"
        if isinstance(value, dict):
            return self._object(value)
        return repr(value)

    def _object(self, value: dict[str, Any]) -> str:
        tag = next(iter(value), "")
        if not tag.startswith("$"):
            return self._pairs(value.items())
        content = value.pop(tag)
        if tag in _SPECIAL:
            return _SPECIAL[tag](self, content)
        shown = self._joined(content) if isinstance(content, list) else self._show(content)
        return f"{tag[1:]}({', '.join([shown, *(self._mark(name, mark) for name, mark in value.items())])})"

    def _pairs(self, pairs: Iterable[Any]) -> str:
        return "{" + ", ".join(f"{self._show(key)}: {self._under(key, item)}" for key, item in pairs) + "}"

    def _tuple(self, values: list[Any]) -> str:
        return f"({self._joined(values)}{',' if len(values) == 1 else ''})"

    def _set(self, values: list[Any]) -> str:
        return f"{{{self._joined(values)}}}" if values else "set()"

    def _model(self, content: list[Any]) -> str:
        name, key = content
        return f"{_last_part(name)}({self._joined(key)})"


def _last_part(class_name: str) -> str:
    return class_name.rpartition(":")[2].rpartition(".")[2]


_SPECIAL: dict[str, Callable[[_Description, Any], str]] = {
    "$int": lambda _, text: str(text),
    "$float": lambda _, text: str(text),
    "$bytes": lambda _, text: repr(b64decode(text)),
    "$dict": _Description._pairs,
    "$tuple": _Description._tuple,
    "$set": _Description._set,
    "$enum": lambda _, content: f"{_last_part(content[0])}.{content[1] or 0}",
    "$model": _Description._model,
}
