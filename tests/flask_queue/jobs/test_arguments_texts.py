"""What is read from a stored text: a call, a sentence about it, or a clear error, and never more than that (A7, A8, A10)."""

from __future__ import annotations

import json
import math
import sys
import types
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from flask_queue.errors import DeserializationError
from flask_queue.jobs.arguments import decode, describe, encode, positional_names

from . import values
from .values import Color, Right, Rows, User

pytestmark = pytest.mark.behaviour("A7", "A8")


BROKEN = [
    "",
    "nonsense",
    "1",
    "null",
    '"text"',
    "[1",
    "[NaN]",
    "[Infinity]",
    '[NaN, {"$tuple": []}]',
    "{}",
    '{"args": []}',
    '{"args": [], "kwargs": []}',
    '{"args": {}, "kwargs": {}}',
    '{"args": [], "kwargs": {}, "more": 1}',
    '{"args": [], "kwargs": {"$dict": [[1, 2]]}}',
    '{"$tuple": [1]}',
    '[{"$unheard": 1}]',
    '[{"$datetime": "yesterday"}]',
    '[{"$datetime": 5}]',
    '[{"$datetime": "2026-01-01T00:00:00", "zone": "Mars/Olympus"}]',
    '[{"$datetime": "2026-01-01T00:00:00", "zone": "../../etc/passwd"}]',
    '[{"$datetime": "2026-01-01T00:00:00", "zone": {}}]',
    '[{"$datetime": "2026-01-01T00:00:00", "fold": 7}]',
    '[{"$datetime": "2026-01-01T00:00:00", "moon": "full"}]',
    '[{"$timedelta": [1e300, 0, 0]}]',
    '[{"$timedelta": 1}]',
    '[{"$Decimal": "one"}]',
    '[{"$UUID": "x"}]',
    '[{"$bytes": "ä"}]',
    '[{"$int": "0xyz"}]',
    '[{"$float": "nan"}]',
    '[{"$float": []}]',
    '[{"$set": [[1]]}]',
    '[{"$dict": [[[], 1]]}]',
    '[{"$dict": [1]}]',
    '[{"$enum": "os:system"}]',
    '[{"$enum": ["os:system", "x"]}]',
    '[{"$enum": [1, 2]}]',
    '[{"$enum": []}]',
    '[{"$model": 1}]',
    '[{"$model": ["app:User"]}]',
    "[" * 100_000,
    '[{"$tuple": ' * 50_000,
    "9" * 10_000,
    "[" + "9" * 10_000 + "]",
]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:50])
def test_a_text_that_is_none_of_ours_is_an_error_and_no_crash(text: str) -> None:
    with pytest.raises(DeserializationError) as error:
        decode(text, references=Rows())
    assert str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        ["os:system", "true"],
        ["builtins:print", "x"],
        ["builtins:int", "real"],
        ["this:Color", "RED"],
        ["nowhere:Color", "RED"],
        [f"{values.__name__}:Color.__class__", "RED"],
        [f"{values.__name__}:Color.RED", "value"],
        [f"{values.__name__}:Color.__init__.__globals__", "RED"],
        [f"{values.__name__}:Color", "BLUE"],
        [f"{values.__name__}:Color", "__class__"],
        [f"{values.__name__}:", "RED"],
        [f"{values.__name__}:User", "id"],
        [f"{values.__name__}:Right", "READ|FLY"],
    ],
)
def test_an_enum_name_finds_nothing_but_members_of_enumerations(name: list[str]) -> None:
    with pytest.raises(DeserializationError):
        decode(json.dumps([{"$enum": name}]))


def test_decoding_neither_imports_nor_asks_a_module_for_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """`this` prints a poem when imported; a module's own `__getattr__` may load anything."""
    monkeypatch.delitem(sys.modules, "this", raising=False)
    lazy = types.ModuleType("lazy")
    asked: list[str] = []
    monkeypatch.setattr(lazy, "__getattr__", asked.append, raising=False)
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    for name in ("this:Color", "lazy:Color"):
        with pytest.raises(DeserializationError, match="no enumeration"):
            decode(json.dumps([{"$enum": [name, "RED"]}]))
    assert "this" not in sys.modules
    assert "Color" not in asked


def test_an_enumeration_of_a_module_that_is_not_loaded_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("gone")
    monkeypatch.setitem(sys.modules, "gone", module)
    kind = Enum("Kind", ["A"], module="gone")
    monkeypatch.setattr(module, "Kind", kind, raising=False)
    text = encode((kind["A"],), {})
    monkeypatch.delitem(sys.modules, "gone")
    with pytest.raises(DeserializationError, match=r"no enumeration gone:Kind .*imported"):
        decode(text)


@pytest.mark.parametrize(
    ("args", "kwargs", "shown"),
    [
        ((), {}, ""),
        ((1,), {"name": "x"}, '1, name="x"'),
        ((None, True, 1.5, -math.inf), {}, "None, True, 1.5, -inf"),
        (("Grüße\n",), {}, '"Grüße\\n"'),
        (([1, (2,), (3, 4), ()],), {}, "[1, (2,), (3, 4), ()]"),
        (({1}, set(), frozenset({1})), {}, "{1}, set(), frozenset(1)"),
        (({"a": 1}, {1: {"b": 2}}), {}, '{"a": 1}, {1: {"b": 2}}'),
        ((Color.RED, Right.READ | Right.WRITE, User(5)), {}, "Color.RED, Right.READ|WRITE, User(5)"),
        ((b"hello",), {}, "b'hello'"),
        ((Decimal("1.10"), date(2026, 7, 1)), {}, 'Decimal("1.10"), date("2026-07-01")'),
        (
            (datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")),),
            {},
            'datetime("2026-07-01T12:00:00", zone="Europe/Berlin")',
        ),
        ((timedelta(days=1, seconds=2),), {}, "timedelta(1, 2, 0)"),
        ((UUID(int=7),), {}, 'UUID("00000000-0000-0000-0000-000000000007")'),
        ((), {"$odd": 1}, "$odd=1"),
    ],
)
def test_a_call_is_described_as_it_would_be_written(args: tuple[object, ...], kwargs: dict[str, object], shown: str) -> None:
    assert describe(encode(args, kwargs, references=Rows())) == shown


def test_what_is_named_like_a_secret_is_filtered_at_any_depth() -> None:
    secret = "hunter2"
    text = encode(
        ({"API_Token": secret, "deep": [{"password": secret}]}, {1: secret[:0], "user_password": secret}),
        {"password_again": (secret, secret), "name": "Ann", "$password": secret},
    )
    shown = describe(text, ["passw", "TOKEN"])
    assert secret not in shown
    assert shown == (
        '{"API_Token": [FILTERED], "deep": [{"password": [FILTERED]}]}, {1: "", "user_password": [FILTERED]}, '
        'password_again=[FILTERED], name="Ann", $password=[FILTERED]'
    )


def test_a_positional_argument_is_filtered_by_the_name_that_the_function_has_for_it() -> None:
    def reset(user_id: int, /, token: str, *secrets: str, password: str = "") -> None: ...

    names = positional_names(reset)
    assert names == ["user_id", "token", "secrets"]
    words = ["token", "secret", "password"]
    only = encode((7, "hunter2", "one", {"of": "more"}), {})
    assert describe(only, words, names) == "7, [FILTERED], [FILTERED], [FILTERED]"
    both = encode((7, "hunter2"), {"password": "hunter2"})
    assert describe(both, words, names) == "7, [FILTERED], password=[FILTERED]"
    assert describe(both, words) == '7, "hunter2", password=[FILTERED]'
    assert describe(encode((7, 8), {}), words, positional_names(lambda: None)) == "7, 8"
    assert positional_names(type) == []  # which says nothing of its parameters


@pytest.mark.parametrize("text", [text for text in BROKEN if text[:1] not in ("[", "9") and "$dict" not in text])
def test_what_cannot_be_read_is_shown_as_it_is(text: str) -> None:
    assert describe(text, ["password"]) == text


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:50])
def test_describing_never_fails(text: str) -> None:
    assert isinstance(describe(text, ["password"]), str)


def test_what_cannot_be_read_and_mentions_a_secret_is_filtered_whole() -> None:
    assert describe('{"args": [], "kwargs": {"Password": "hunt', ["password"]) == "[FILTERED]"


def test_describing_loads_nothing() -> None:
    assert describe('[{"$model": ["app:User", [5]]}, {"$enum": ["gone:Kind", "A"]}]') == "User(5), Kind.A"
