"""The parts of the dashboard that are functions of their arguments: words for numbers and times, pages, filters, addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import Map, Rule

import flask_queue
from flask_queue.dashboard import charts, formatting
from flask_queue.dashboard.addresses import ACTIONS, NameConverter
from flask_queue.dashboard.pagination import LARGEST_SIZE, Page
from flask_queue.dashboard.queries.overview import Slice

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


# --- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 ms"), (0.0004, "0 ms"), (0.35, "350 ms"), (0.9996, "1 s"), (2.44, "2.4 s"), (2.96, "3 s"), (9.97, "10 s"),
        (59.4, "59 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3599, "59 min 59 s"), (3600, "1 h"), (5400, "1 h 30 min"),
        (86_399, "23 h 59 min"), (90_000, "1 d 1 h"), (10**9, "11574 d 1 h"),
    ],
)  # fmt: skip
def test_a_length_of_time_takes_two_units_at_most(seconds: float, words: str) -> None:
    assert formatting.duration(seconds) == words


@pytest.mark.behaviour("P16")
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"), (-0.9, "just now"), (1, "in 1 second"), (-1.5, "1 second ago"), (60, "in 1 minute"),
        (-60, "1 minute ago"),
        (-119, "1 minute ago"), (120, "in 2 minutes"), (-3600, "1 hour ago"), (90_000, "in 1 day"), (-200_000, "2 days ago"),
    ],
)  # fmt: skip
def test_a_moment_is_told_by_its_distance(seconds: float, words: str) -> None:
    assert formatting.relative(NOW + timedelta(seconds=seconds), NOW) == words


@pytest.mark.behaviour("P16")
def test_a_job_is_late_a_minute_and_a_second_after_its_time() -> None:
    clock = formatting.Clock(NOW, ZoneInfo("UTC"))
    assert not clock.is_late(NOW - timedelta(seconds=61))
    assert clock.is_late(NOW - timedelta(seconds=61.1))


def test_a_moment_is_shown_in_its_zone() -> None:
    assert formatting.absolute(NOW, ZoneInfo("Europe/Berlin")) == "2030-01-01 13:00:00 CET"


@pytest.mark.behaviour("P20")
def test_a_number_beyond_the_cap_is_the_cap_and_more() -> None:
    assert [formatting.capped(n) for n in (0, 1234, 500_000, 500_001)] == ["0", "1,234", "500,000", "500,000+"]


def test_code_in_a_sentence_is_set_as_code_and_the_rest_is_escaped() -> None:
    assert formatting.with_code("run `a < b` & <b>") == "run <code>a &lt; b</code> &amp; &lt;b&gt;"


def frame(path: str, line: str = "go()") -> str:
    return f'  File "{path}", line 7, in go\n    {line}\n    ~~^^\n'


OURS = str(Path(flask_queue.__file__).parent / "processes" / "performer.py")


@pytest.mark.behaviour("P14")
def test_a_clean_traceback_has_the_frames_of_the_application_only() -> None:
    head, error = "Traceback (most recent call last):\n", "ValueError: one\n  two\n    three\n"
    text = (
        head
        + frame(OURS)
        + frame("/srv/app/jobs.py", "mine()")
        + frame("/x/site-packages/lib.py")
        + frame("/usr/lib/python3.11/a.py")
    )
    assert formatting.clean_traceback(text + error) == (head + frame("/srv/app/jobs.py", "mine()") + error).rstrip("\n")


def test_a_traceback_without_frames_of_the_application_is_shown_whole() -> None:
    text = "Traceback (most recent call last):\n" + frame("/x/site-packages/lib.py") + "KeyError: 1\n"
    assert formatting.clean_traceback(text) == text.rstrip("\n")
    assert formatting.clean_traceback("") == ""


# --- pages --------------------------------------------------------------------------------------------


@pytest.mark.behaviour("P12")
@given(
    number=st.none() | st.text(max_size=20) | st.integers().map(str),
    size=st.none() | st.text(max_size=5),
    total=st.integers(0, 10**6),
)
def test_whatever_page_is_asked_for_there_is_one(number: str | None, size: str | None, total: int) -> None:
    page = Page.clamp(number, size, total)
    assert 1 <= page.number <= page.last
    assert 1 <= page.size <= LARGEST_SIZE
    assert 0 <= page.offset <= max(0, total - 1)
    assert (page.first_row <= page.last_row) or total == 0
    assert (page.previous is None) == (page.number == 1)
    assert (page.next is None) == (page.number == page.last)


# --- the chart ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2, 3, 10, 11, 399, 50_000])
def test_the_scale_of_the_chart_holds_its_bars_and_has_a_whole_half(number: int) -> None:
    top = charts.ceiling(number)
    assert number <= top <= max(2, 2.5 * number)
    assert top % 2 == 0


def test_bars_stand_on_each_other_within_the_drawing() -> None:
    moments = charts.moments(NOW, charts.PERIODS["day"])
    slices = [Slice(moments[0], moments[1], 30, 10), Slice(moments[1], moments[2], 0, 0)]
    chart = charts.draw(slices, ZoneInfo("UTC"))
    full, empty = chart.bars
    assert (chart.top, chart.finished, chart.failed) == (40, 30, 10)
    assert (full.failed_y, full.failed_y + full.failed_height, full.finished_y + full.finished_height) == (
        0,
        full.finished_y,
        100,
    )
    assert (empty.finished_height, empty.failed_height) == (0, 0)


def test_slices_begin_on_the_same_moments_whenever_one_looks() -> None:
    period = charts.PERIODS["hour"]
    first, later = charts.moments(NOW, period), charts.moments(NOW + timedelta(seconds=59), period)
    assert first == later
    assert first[-2] <= NOW < first[-1]
    assert len(first) == period.slices + 1


# --- names in addresses -------------------------------------------------------------------------------

RULES = [Rule("/queues/<name:name>", endpoint="queue", methods=["GET"])]
RULES += [Rule(f"/queues/<name:name>/{verb}", endpoint=verb, methods=["POST"]) for verb in ACTIONS]
ADDRESSES = Map(RULES, converters={"name": NameConverter}).bind("localhost")
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)
PARTS = st.lists(
    st.sampled_from(["a", "/", "..", ".", "%", "~", "?", "#", *ACTIONS, "ü", " ", "%2F", "\\"]), min_size=1, max_size=6
)


@pytest.mark.behaviour("P7")
@given(name=NAMES | PARTS.map("".join))
def test_the_address_of_a_name_means_that_name_and_nothing_else(name: str) -> None:
    """Through what browsers and servers do to an address on its way."""
    app = Flask("addresses")
    for endpoint, method in [("queue", "GET"), *((verb, "POST") for verb in ACTIONS)]:
        address = ADDRESSES.build(endpoint, {"name": name})
        assert "//" not in address
        assert not {"..", "."} & set(address.split("/"))
        with app.test_request_context(address, method=method) as context:
            found = ADDRESSES.match(context.request.path, method=method)
        assert found == (endpoint, {"name": name})
