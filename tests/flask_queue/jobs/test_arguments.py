"""What travels as an argument and comes back as it was, and what is refused (A7, A8, A10)."""

from __future__ import annotations

import json
import math
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_queue.errors import ArgumentError, DeserializationError, QueueError
from flask_queue.jobs.arguments import decode, describe, encode, encoding

from .values import Color, Right, Rows, User

pytestmark = pytest.mark.behaviour("A7", "A8")


class Size(IntEnum):
    SMALL = 1


class Unit(StrEnum):
    METRE = "m"


class Mode(IntFlag):
    A = 1
    B = 2


class Outer:
    class Inner(Enum):
        ONE = 1


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


class Moment(datetime):
    pass


def same(one: Any, other: Any) -> bool:
    """Equal and of the same types, all the way down; a datetime also in its zone and its fold."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same([[*pair] for pair in one.items()], [[*pair] for pair in other.items()])
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and all(any(same(member, candidate) for candidate in other) for member in one)
    if isinstance(one, datetime | time):
        wall = one.replace(tzinfo=None, fold=0) == other.replace(tzinfo=None, fold=0)
        return wall and one.fold == other.fold and same(one.tzinfo, other.tzinfo)
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other) and (isinstance(one, int) or str(one) == str(other))


VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**70,
    -(2**70),
    10**5000,
    -(10**5000),
    1.5,
    0.1,
    -0.0,
    1e-320,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    "",
    "text",
    "Grüße 🙂",
    "\ud800",
    "a\udfffb",
    "\x00",
    "\u2028\ufffe'\"\\",
    [],
    [1, [2, [3]]],
    {},
    {"a": {"b": [1, None]}},
    {1: 2},
    {None: 1, True: 2, "x": 3},
    {(1, 2): "pair", frozenset({1}): "set"},
    {"$tuple": [1, 2]},
    {"$dict": [["a", 1]]},
    {"a": 1, "$b": 2},
    {"$": 1},
    {"args": [1], "kwargs": {}},
    (),
    (1, (2, [3])),
    set(),
    {1, 2, 3},
    frozenset({"a", "b"}),
    {(1, "a"), (2, "b")},
    b"",
    b"\x00\xff bytes",
    Decimal("1.10"),
    Decimal("-0"),
    Decimal("1E+5"),
    Decimal("Infinity"),
    UUID("12345678123456781234567812345678"),
    uuid4(),
    date(2026, 7, 1),
    date.min,
    time(12, 30, 15, 999_999),
    time(1, 30, fold=1),
    time(1, 30, tzinfo=UTC),
    time(1, 30, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 7, 1, 12, 30),
    datetime(2026, 7, 1, 12, 30, 1, 7, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2026, 7, 1, tzinfo=timezone(timedelta(seconds=-1))),
    datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 10, 25, 2, 30, fold=1),
    datetime.min,
    datetime.max,
    timedelta(days=-1, microseconds=7),
    timedelta.max,
    Color.RED,
    Color.GREEN,
    Color.ALSO_RED,
    Size.SMALL,
    Unit.METRE,
    Right.READ,
    Right.READ | Right.WRITE,
    Right(0),
    Mode.A | Mode.B,
    Outer.Inner.ONE,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal_and_of_the_same_type(value: object) -> None:
    """A8"""
    args, kwargs = decode(encode((value, [value]), {"name": value, "inner": {"of": (value,)}}))
    assert same(args, [value, [value]])
    assert same(kwargs, {"name": value, "inner": {"of": (value,)}})
    alone, nothing = decode(encode((value,), {}))  # for which there is a shorter way
    assert same((list(alone), dict(nothing)), ([value], {}))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_the_text_is_json_that_every_database_can_store(value: object) -> None:
    text = encode((value,), {"name": value})
    text.encode("utf-8")
    assert "\x00" not in text
    json.loads(text, parse_constant=pytest.fail)


HASHABLE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(st.characters()),
        st.text(st.characters(categories=["Cs", "L"])),
        st.binary(),
        st.decimals(allow_nan=False),
        st.uuids(),
        st.dates(),
        st.times(timezones=st.none() | st.timezones()),
        st.datetimes(timezones=st.none() | st.timezones()),
        st.datetimes(timezones=st.integers(-80_000, 80_000).map(lambda offset: timezone(timedelta(seconds=offset)))),
        st.timedeltas(),
        st.sampled_from([*Color, *Size, *Unit, *Right, Right(0), Right(3), Mode(3), *Outer.Inner]),
    ),
    lambda children: st.lists(children, max_size=4).map(tuple) | st.frozensets(children, max_size=4),
    max_leaves=8,
)
ANYTHING = st.recursive(
    HASHABLE | st.sets(HASHABLE, max_size=4),
    lambda children: (
        st.lists(children, max_size=4)
        | st.lists(children, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["$", "$dict", "$model", "args"]), children, max_size=4)
        | st.dictionaries(HASHABLE, children, max_size=4)
    ),
    max_leaves=15,
)


@given(st.lists(ANYTHING, max_size=4), st.dictionaries(st.text(max_size=8) | st.just("$tuple"), ANYTHING, max_size=3))
def test_any_call_comes_back_as_it_was(args: list[object], kwargs: dict[str, object]) -> None:
    """A8"""
    text = encode(args, kwargs)
    text.encode("utf-8")
    assert "\x00" not in text
    found_args, found_kwargs = decode(text)
    assert same(found_args, args)
    assert same(found_kwargs, kwargs)
    assert describe(text) or not (args or kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "[]"),
        ((1, 2), {}, "[1, 2]"),
        (("é\n",), {}, '["é\\n"]'),
        ((1,), {"name": "x"}, '{"args": [1], "kwargs": {"name": "x"}}'),
        ((), {"$x": 1}, '{"args": [], "kwargs": {"$dict": [["$x", 1]]}}'),
        (((1, 2),), {}, '[{"$tuple": [1, 2]}]'),
        (({3, 1, 2},), {}, '[{"$set": [1, 2, 3]}]'),
        (({1: 2},), {}, '[{"$dict": [[1, 2]]}]'),
        ((date(2026, 7, 1),), {}, '[{"$date": "2026-07-01"}]'),
        ((datetime(2026, 7, 1, 12, tzinfo=UTC),), {}, '[{"$datetime": "2026-07-01T12:00:00+00:00"}]'),
        (
            (datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")),),
            {},
            '[{"$datetime": "2026-07-01T12:00:00", "zone": "Europe/Berlin"}]',
        ),
        ((Color.RED,), {}, f'[{{"$enum": ["{Color.__module__}:Color", "RED"]}}]'),
        ((Decimal("1.10"),), {}, '[{"$Decimal": "1.10"}]'),
        ((b"hello",), {}, '[{"$bytes": "aGVsbG8="}]'),
        ((timedelta(days=1, seconds=2),), {}, '[{"$timedelta": [1, 2, 0]}]'),
    ],
)
def test_the_text_is_readable(args: tuple[object, ...], kwargs: dict[str, object], text: str) -> None:
    assert encode(args, kwargs) == text


def test_equal_sets_give_equal_texts() -> None:
    one, other = set(range(0, 17, 8)), set(range(16, -1, -8))
    assert list(one) != list(other)  # they fall into the same place of the table, in the order of their coming
    assert encode((one,), {}) == encode((other,), {})


class Unlisted:
    pass


class OddZone(tzinfo):
    pass


def local_enum() -> type[Enum]:
    class Local(Enum):
        ONE = 1

    return Local


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Unlisted(), "Unlisted cannot travel"),
        (object(), "cannot travel"),
        (lambda: None, "cannot travel"),
        (iter([1]), "cannot travel"),
        (sys, "cannot travel"),
        (Color, "cannot travel"),
        (1j, "cannot travel"),
        (bytearray(b"x"), "cannot travel"),
        (deque([1]), "cannot travel"),
        (types.SimpleNamespace(a=1), "cannot travel"),
        (math.nan, "NaN is not equal to itself"),
        (Decimal("NaN"), "NaN is not equal to itself"),
        (Decimal("sNaN"), "NaN is not equal to itself"),
        (Text("x"), "would come back as a plain str"),
        (Point(1, 2), "would come back as a plain tuple"),
        (Moment(2026, 1, 1), "would come back as a plain datetime"),
        (OrderedDict(a=1), "would come back as a plain dict"),
        (defaultdict(list), "would come back as a plain dict"),
        (Counter("abc"), "would come back as a plain dict"),
        (datetime(2026, 1, 1, tzinfo=OddZone()), "its time zone"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=3))), "its time zone"),
        (time(1, tzinfo=OddZone()), "its time zone"),
        (local_enum()(1), "at the top of a module"),
        (Mode(8), "at the top of a module"),
        (User(1), "User cannot travel"),
    ],
)
def test_what_cannot_come_back_is_refused(value: object, advice: str) -> None:
    """A7, A8"""
    for args in ((value,), ([value],), ({"key": value},), ((value,),)):
        with pytest.raises(ArgumentError, match=advice) as refusal:
            encode(args, {})
        assert isinstance(refusal.value, QueueError)
    with pytest.raises(ArgumentError, match=advice):
        encode((), {"name": value})


@pytest.mark.parametrize(
    ("args", "kwargs", "place"),
    [
        ((1, {"user": [object()]}), {}, "argument 2, ['user'][0]: a builtins.object cannot travel"),
        ((object(),), {}, "argument 1: a builtins.object"),
        ((), {"name": object()}, "argument 'name': a builtins.object"),
        ((1,), {"name": (0, object())}, "argument 'name', [1]: a builtins.object"),
        (({(1, object()): 1},), {}, "argument 1, key (1, <object"),
        (({Text("x"): 1},), {}, "argument 1, key 'x': a Text would come back as a plain str"),
        (({1: {"x": object()}},), {}, "argument 1, [1]['x']: "),
        (([1, {(0, Text("x"))}],), {}, "argument 1, [1]{…}[1]: a Text would"),
        (({10**5000: object()},), {}, "argument 1, [int]: a builtins.object"),
        ((), {1: 2}, "argument 1: the name of an argument is text"),
    ],
)
def test_a_refusal_names_the_place(args: tuple[object, ...], kwargs: dict[str, object], place: str) -> None:
    """A7"""
    with pytest.raises(ArgumentError) as refusal:
        encode(args, kwargs)
    assert str(refusal.value).startswith(place)


def test_cycles_and_depths_are_refused() -> None:
    """A7"""
    circle: list[object] = []
    circle.append(circle)
    ring: dict[object, object] = {}
    ring["self"] = (ring, [ring])
    deep: object = 1
    for _ in range(101):
        deep = [deep]
    bottomless: object = 1
    for _ in range(100_000):
        bottomless = (bottomless,)
    for value in (circle, ring, deep, bottomless):
        with pytest.raises(ArgumentError, match="nested more than 100 levels deep, or contains itself"):
            encode((value,), {})


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: (value,), lambda value: {1: value}])
def test_what_is_nested_just_deep_enough_comes_back(wrap: Any) -> None:
    value: object = 1
    for _ in range(100):
        value = wrap(value)
    assert same(decode(encode((value,), {}))[0], [value])


def test_a_mapped_instance_travels_as_a_reference() -> None:
    """A10"""
    rows = Rows(User(5), User("five"))
    text = encode((User(5),), {"many": [User("five")]}, references=rows)
    assert text == ('{"args": [{"$model": ["app:User", [5]]}], "kwargs": {"many": [{"$model": ["app:User", ["five"]]}]}}')
    (user,), kwargs = decode(text, references=rows)
    assert user is rows.users[0]
    assert kwargs["many"][0] is rows.users[1]


@pytest.mark.parametrize("key", [UUID(int=7), (1, 2), datetime(2026, 1, 1, tzinfo=UTC), b"key", Color.RED])
def test_a_key_may_be_of_any_type_that_travels(key: object) -> None:
    """A10"""
    rows = Rows(User(key))
    assert decode(encode((User(key),), {}, references=rows), references=rows)[0] == [User(key)]


def test_an_instance_without_a_key_is_refused() -> None:
    """A10"""
    with pytest.raises(ArgumentError, match=r"argument 2, \[0\]: .* flush or commit the session"):
        encode((1, [User(None)]), {}, references=Rows())


def test_an_instance_whose_row_is_gone_is_an_error_of_its_own() -> None:
    """A10"""
    text = encode((User(5),), {}, references=Rows())
    with pytest.raises(DeserializationError, match="does not exist any more"):
        decode(text, references=Rows())
    with pytest.raises(DeserializationError, match="nothing to load it with"):
        decode(text)


def test_text_is_written_as_by_the_documented_encoder_where_the_fast_one_is_another() -> None:
    documented = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
    assert encoding._encoder(documented) == documented.encode
