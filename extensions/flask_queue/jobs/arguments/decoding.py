"""Text to arguments. The text comes from the database: it may be anything, and nothing in it is imported or evaluated."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from ...errors import DeserializationError
from .enums import find_member
from .references import References

Arguments = tuple[list[Any], dict[str, Any]]

_BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading a text that `encode` did not write may raise."""


def decode(text: str, *, references: References | None = None) -> Arguments:
    """Give the positional and the keyword arguments that `encode` wrote.

    :param references: loads instances of mapped classes.
    :raises DeserializationError: if the text is not such a text, or names a class, a member or a row that is gone.
    """
    try:
        # A tag has a key that begins with "$"; most calls have none, and are read without a look at each object.
        return _call(_read_tagged(text, references) if '"$' in text else _read_plain(text))
    except _BROKEN as error:
        raise DeserializationError(f"The job's arguments cannot be read back: {type(error).__name__}: {error}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_read_plain = json.JSONDecoder(parse_constant=_refuse).decode


def _read_tagged(text: str, references: References | None) -> object:
    return json.loads(text, parse_constant=_refuse, object_hook=partial(_restore, references))


def _call(value: object) -> Arguments:
    if type(value) is list:
        return value, {}
    if type(value) is dict and value.keys() == {"args", "kwargs"}:
        args, kwargs = value["args"], value["kwargs"]
        if type(args) is list and type(kwargs) is dict and all(type(name) is str for name in kwargs):
            return args, kwargs
    raise ValueError("neither a list of arguments nor an object of args and kwargs")


def _restore(references: References | None, value: dict[str, Any]) -> object:
    """Turn an object that begins with a tag into what it stands for; what is inside it has been restored before."""
    tag = next(iter(value), "")
    if not tag.startswith("$"):
        return value
    content = value.pop(tag)
    if tag == "$model":
        return _load(references, *content)
    if tag not in _RESTORERS:
        raise DeserializationError(f"The job's arguments hold a {tag}, which this version of Flask-Queue does not know.")
    return _RESTORERS[tag](content, **value)


def _load(references: References | None, name: str, key: list[object]) -> object:
    if references is None:
        raise DeserializationError(f"The job's arguments hold an instance of {name}, and there is nothing to load it with.")
    return references.load(name, key)


def _placed(moment: Any, zone: str | None, fold: int) -> Any:
    if zone is not None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return moment.replace(fold=fold)


def _datetime(text: str, zone: str | None = None, fold: int = 0) -> datetime:
    return _placed(datetime.fromisoformat(text), zone, fold)  # type: ignore[no-any-return]


def _time(text: str, zone: str | None = None, fold: int = 0) -> time:
    return _placed(time.fromisoformat(text), zone, fold)  # type: ignore[no-any-return]


_RESTORERS: dict[str, Callable[..., object]] = {
    "$int": lambda text: int(text, 16),
    "$float": {"inf": math.inf, "-inf": -math.inf}.__getitem__,
    "$Decimal": Decimal,
    "$UUID": UUID,
    "$bytes": partial(b64decode, validate=True),
    "$date": date.fromisoformat,
    "$time": _time,
    "$datetime": _datetime,
    "$timedelta": lambda parts: timedelta(*parts),
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$dict": dict,
    "$enum": lambda name: find_member(*name),
}
