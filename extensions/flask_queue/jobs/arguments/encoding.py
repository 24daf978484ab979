"""Arguments to text. Runs at every enqueue, so plain values take the shortest way through."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from reprlib import repr as shortened
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from ...errors import ArgumentError
from .enums import name_member
from .references import References

Encode = Callable[[Any, int, References | None], object]

_DEEPEST = 100
_PLAIN = frozenset({str, bool, type(None)})
_LARGE = 1 << 2048
"""Ints from here on are written in hexadecimal: Python may refuse to read so many decimal digits."""


def _encoder(slow: json.JSONEncoder) -> Callable[[object], str]:
    """`slow.encode` without what takes it longest: it makes its compiled part anew for every value.

    Of no documented interface, so that it is used only where it does what is known of it.
    """
    try:
        parts: Callable[[object, int], Iterable[str]] = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, None, json.encoder.encode_basestring, None, ": ", ", ", False, False, False
        )
        known = "".join(parts(_SAMPLE, 0)) == slow.encode(_SAMPLE)
    except Exception:
        known = False
    return (lambda value: "".join(parts(value, 0))) if known else slow.encode


_SAMPLE = [{"args": [1, -0.5, None, True, "ä\n"], "kwargs": {}}]
_write = _encoder(json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False))
_write_ascii = json.JSONEncoder(allow_nan=False, check_circular=False).encode


class _Unfit(Exception):
    """A value that cannot travel, and the path to it from the argument."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []


def encode(args: Sequence[object], kwargs: Mapping[str, object] | None, *, references: References | None = None) -> str:
    """Write the arguments of a call as text that `decode` turns into equal ones of the same types.

    :param references: names instances of mapped classes; without it they are refused.
    :raises ArgumentError: for what cannot come back as it was; it names the argument and the place in it.
    """
    if not kwargs and all(type(value) in _PLAIN or (type(value) is int and -_LARGE < value < _LARGE) for value in args):
        return _text(args)
    positional: list[object] = []
    keywords: dict[str, object] = {}
    place: object = None
    try:
        for value in args:
            place = len(positional) + 1
            positional.append(_encode(value, 0, references))
        for place, value in (kwargs or {}).items():
            if not isinstance(place, str):
                raise _Unfit("the name of an argument is text.")
            keywords[place] = _encode(value, 0, references)
    except _Unfit as unfit:
        inside = f", {''.join(unfit.path)}" if unfit.path else ""
        raise ArgumentError(f"argument {place!r}{inside}: {unfit.reason}") from None
    except RecursionError:
        raise ArgumentError(f"argument {place!r}: it is nested too deep.") from None
    return _text({"args": positional, "kwargs": _mapping(keywords)} if keywords else positional)


def _text(value: object) -> str:
    """Write it readable, unless that cannot be stored: half a surrogate pair has no UTF-8, but an escape in ASCII."""
    text = _write(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _write_ascii(value)
    return text


def _encode(value: object, depth: int, references: References | None) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return value
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        return encoder(value, depth, references)
    if issubclass(kind, Enum):
        return _enum(value)
    reference = _reference(value, references)
    if reference is not None:
        return {"$model": [reference[0], _items(reference[1], depth, references)]}
    raise _Unfit(_why_not(kind))


def _reference(value: object, references: References | None) -> tuple[str, Sequence[object]] | None:
    try:
        return references.refer(value) if references is not None else None
    except ArgumentError as refusal:
        raise _Unfit(str(refusal)) from None


def _why_not(kind: type) -> str:
    base = next((base for base in kind.__mro__[1:] if base in _ENCODERS or base in _PLAIN), None)
    if base is not None:
        return f"a {kind.__qualname__} would come back as a plain {base.__name__}: convert it to one before enqueuing."
    return (
        f"a {kind.__module__}.{kind.__qualname__} cannot travel to a worker. Pass what it is made of (text, numbers, dates, "
        "lists, dicts …), or the id of a row."
    )


def _items(values: Iterable[object], depth: int, references: References | None) -> list[object]:
    _check_depth(depth)
    encoded: list[object] = []
    try:
        for value in values:
            encoded.append(_encode(value, depth + 1, references))
    except _Unfit as unfit:
        unfit.path.insert(0, f"[{len(encoded)}]")
        raise
    return encoded


def _check_depth(depth: int) -> None:
    if depth >= _DEEPEST:
        raise _Unfit(f"it is nested more than {_DEEPEST} levels deep, or contains itself.")


def _tuple(value: tuple[object, ...], depth: int, references: References | None) -> object:
    return {"$tuple": _items(value, depth, references)}


def _dict(value: dict[object, object], depth: int, references: References | None) -> object:
    _check_depth(depth)
    encoded: dict[object, object] = {}
    key: object = None
    try:
        for key, item in value.items():
            encoded[key] = _encode(item, depth + 1, references)
    except _Unfit as unfit:
        unfit.path.insert(0, f"[{_shown(key)}]")
        raise
    if all(type(key) is str for key in encoded):
        return _mapping(encoded)
    return {"$dict": [[_key(key, depth, references), item] for key, item in encoded.items()]}


def _mapping(encoded: Mapping[Any, object]) -> object:
    """Write a dict of str keys as itself, unless it could be taken for a tag."""
    if any(key.startswith("$") for key in encoded):
        return {"$dict": [[key, item] for key, item in encoded.items()]}
    return encoded


def _key(key: object, depth: int, references: References | None) -> object:
    try:
        return _encode(key, depth + 1, references)
    except _Unfit as unfit:
        unfit.path.insert(0, f"key {_shown(key)}")
        raise


def _shown(value: object) -> str:
    try:
        return shortened(value)
    except Exception:  # an int of too many digits, or someone's own __repr__: the refusal matters more
        return type(value).__name__


def _set(value: set[object] | frozenset[object], depth: int, references: References | None) -> object:
    """Write the members in the order of their texts, so that equal sets give equal texts."""
    try:
        members = _items(value, depth, references)
    except _Unfit as unfit:
        unfit.path[0:1] = ["{…}"]  # members have no places
        raise
    return {f"${type(value).__name__}": sorted(members, key=_write)}


def _int(value: int, *_: object) -> object:
    return value if -_LARGE < value < _LARGE else {"$int": hex(value)}


def _float(value: float, *_: object) -> object:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        raise _Unfit("NaN is not equal to itself, and so cannot come back equal: pass None for a missing number.")
    return {"$float": str(value)}


def _decimal(value: Decimal, *_: object) -> object:
    if value.is_nan():
        raise _Unfit("NaN is not equal to itself, and so cannot come back equal: pass None for a missing number.")
    return {"$Decimal": str(value)}


def _datetime(value: datetime | time, *_: object) -> object:
    """Write the time on the wall, and its zone by name or as an offset; isoformat leaves out both zone and fold."""
    tag, zone = f"${type(value).__name__}", value.tzinfo
    if zone is None or (type(zone) is timezone and not zone.utcoffset(None).microseconds):  # of which isoformat loses some
        encoded: dict[str, object] = {tag: value.isoformat()}
    elif type(zone) is ZoneInfo and zone.key:
        encoded = {tag: value.replace(tzinfo=None).isoformat(), "zone": zone.key}
    else:
        raise _Unfit(
            f"its time zone {_shown(zone)} cannot travel: use a zoneinfo.ZoneInfo or a datetime.timezone of whole seconds."
        )
    return encoded | {"fold": value.fold} if value.fold else encoded


def _enum(member: Any) -> object:
    name = name_member(member)
    if name is None:
        raise _Unfit(
            f"{_shown(member)} cannot be found by its name: define {type(member).__qualname__} at the top of a module."
        )
    return {"$enum": list(name)}


_ENCODERS: dict[type, Encode] = {
    int: _int,
    float: _float,
    list: _items,
    dict: _dict,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    datetime: _datetime,
    time: _datetime,
    date: lambda value, *_: {"$date": value.isoformat()},
    timedelta: lambda value, *_: {"$timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: _decimal,
    UUID: lambda value, *_: {"$UUID": str(value)},
    bytes: lambda value, *_: {"$bytes": b64encode(value).decode("ascii")},
}
