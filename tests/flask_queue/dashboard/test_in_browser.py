"""The dashboard in real Chromium: acting on jobs and queues, with and without JavaScript, wide and narrow, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from flask_queue import FlaskQueue

from ...harness.serving import serving

pytestmark = pytest.mark.databases("sqlite")

PAGES = (
    "", "queues", "queues/mail", "ready", "scheduled", "blocked", "in-progress", "failed", "finished", "processes", "recurring",
)  # fmt: skip
HOSTILE = "<script>alert(1)</script>" + "w" * 300


@pytest.fixture
def address(site_app: Flask) -> Iterator[str]:
    with serving(site_app) as address:
        yield address


class Tab:
    """A logged-in page, and what the browser has to complain about."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("a script ran"), dialog.accept()))
        self.page.goto(f"{address}/login?role=admin")

    def goto(self, path: str) -> Page:
        self.page.goto(f"{self.address}/jobs/{path}")
        return self.page

    def press(self, name: str) -> None:
        """Press a button, and again where the page asks whether that is meant."""
        self.page.get_by_role("button", name=name, exact=True).first.click()
        self.page.wait_for_load_state()


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def tab(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Tab]:
    opened = Tab(browser, address, java_script_enabled=request.param)
    yield opened
    opened.context.close()


@pytest.mark.behaviour("P6", "P14")
def test_a_failed_job_is_read_and_retried(
    tab: Tab, enqueue: Callable[..., int], work: Callable[[], int], status: Callable[[int], str | None]
) -> None:
    job_id = enqueue("failing")
    work()
    page = tab.goto("failed")
    expect(page.get_by_text("on purpose").first).to_be_visible()
    page = tab.goto(str(job_id))
    expect(page.get_by_text("ValueError").first).to_be_visible()
    tab.press("Retry")
    expect(page.get_by_role("status").or_(page.get_by_role("alert")).first).to_be_visible()
    assert status(job_id) == "ready"
    assert tab.complaints == []


def test_a_failed_job_is_discarded(
    tab: Tab, enqueue: Callable[..., int], work: Callable[[], int], status: Callable[[int], str | None]
) -> None:
    job_id = enqueue("failing")
    work()
    page = tab.goto(str(job_id))
    tab.press("Discard")
    expect(page.get_by_role("status").or_(page.get_by_role("alert")).first).to_be_visible()
    assert status(job_id) is None


@pytest.mark.behaviour("P7")
def test_a_queue_is_paused_and_resumed(tab: Tab, enqueue: Callable[..., int], site_app: Flask, queue: FlaskQueue) -> None:
    enqueue("failing")
    page = tab.goto("queues/mail")
    tab.press("Pause")
    expect(page.get_by_role("button", name="Resume").first).to_be_visible()
    with site_app.app_context():
        assert queue.queues["mail"].paused
    tab.press("Resume")
    expect(page.get_by_role("button", name="Pause").first).to_be_visible()
    assert tab.complaints == []


def refreshed(page: Page) -> None:
    """Let the page ask for fresh numbers now: as if it had been away. (It asks by itself every five seconds.)"""
    with page.expect_response(page.url):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.behaviour("P23")
def test_the_focus_stays_with_its_job_when_rows_come_and_go(
    browser: Browser, address: str, add_failed: Callable[..., None]
) -> None:
    tab = Tab(browser, address)
    add_failed({"id": 4}, {"id": 5})
    page = tab.goto("failed")
    page.locator("form[action$='/5/discard'] button").focus()
    add_failed({"id": 6})
    refreshed(page)
    expect(page.locator("form[action$='/6/discard'] button")).to_be_visible()
    expect(page.locator("form[action$='/5/discard'] button")).to_be_focused()
    page.locator("tr", has=page.locator("a[href$='/jobs/5']")).locator("a.quiet").focus()  # others lead to the same queue
    add_failed({"id": 7})
    refreshed(page)
    expect(page.locator("form[action$='/7/discard'] button")).to_be_visible()
    expect(page.locator("tr", has=page.locator("a[href$='/jobs/5']")).locator("a.quiet")).to_be_focused()
    assert tab.complaints == []
    tab.context.close()


@pytest.mark.behaviour("P23")
def test_no_other_job_gets_the_focus_of_one_that_is_gone(
    browser: Browser, address: str, add_failed: Callable[..., None], site_app: Flask, queue: FlaskQueue
) -> None:
    tab = Tab(browser, address)
    add_failed({"id": 4}, {"id": 5}, {"id": 6})
    page = tab.goto("failed")
    page.locator("form[action$='/5/discard'] button").focus()
    with site_app.app_context():
        handle = queue.jobs.get(5)
        assert handle is not None
        handle.discard()
    refreshed(page)
    expect(page.locator("form[action$='/5/discard'] button")).to_have_count(0)
    assert page.evaluate("document.activeElement === document.body")
    tab.context.close()


@pytest.mark.behaviour("P23")
def test_what_somebody_chose_holds_at_the_address_without_a_slash_too(browser: Browser, address: str) -> None:
    tab = Tab(browser, address)
    page = tab.goto("failed")
    page.locator("[data-live-toggle]").click()
    page.get_by_role("button", name="Dark colours").click()
    page.goto(f"{address}/jobs")
    expect(page.locator("[data-live-label]")).to_have_text("Paused")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert tab.complaints == []
    tab.context.close()


def contrast(page: Page, one: tuple[str, str], other: tuple[str, str]) -> float:
    """How far two colours are from each other, as WCAG counts it; each a selector and a property."""

    def luminance(selector: str, name: str) -> float:
        colour = page.locator(selector).first.evaluate("(element, name) => getComputedStyle(element)[name]", name)
        assert colour.startswith("rgb("), f"{selector} has {colour}, which is see-through"
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(*one), luminance(*other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.behaviour("P23")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_small_or_thin_can_be_told_from_its_ground(
    browser: Browser, address: str, add_failed: Callable[..., None], scheme: str
) -> None:
    add_failed({"id": 1})
    tab = Tab(browser, address, color_scheme=scheme)
    page = tab.goto("failed")
    assert contrast(page, (".table th", "color"), (".table th", "backgroundColor")) >= 4.5
    assert contrast(page, (".job-args", "color"), (".card", "backgroundColor")) >= 4.5
    assert contrast(page, (".field input", "borderTopColor"), (".field input", "backgroundColor")) >= 3
    assert contrast(page, (".field input", "borderTopColor"), ("body", "backgroundColor")) >= 3
    tab.context.close()


@pytest.mark.behaviour("P4", "P23")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
def test_every_page_fits_and_runs_no_strange_script(
    browser: Browser,
    address: str,
    add: Callable[..., None],
    add_failed: Callable[..., None],
    scheme: str,
    width: int,
    full: bool,
) -> None:
    if full:
        states = ("ready", "scheduled", "blocked", "finished")
        row = {"name": HOSTILE[:200], "queue_name": HOSTILE[:80], "arguments": f'["{HOSTILE}"]'}
        add(*({**row, "id": number + 1, "state": states[number % 4]} for number in range(40)))
        add_failed(*({**row, "id": number, "error_class": HOSTILE[:200]} for number in range(50, 60)))
    tab = Tab(browser, address, viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in PAGES:
        page = tab.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"/{path} is too wide"
        for table in page.locator(".card-table").all():
            assert table.evaluate("element => element.scrollWidth <= element.clientWidth"), (
                f"/{path} has a table that is too wide"
            )
    assert tab.complaints == []
    tab.context.close()


@pytest.mark.behaviour("P23")
def test_on_a_phone_the_values_of_a_job_end_below_each_other(
    browser: Browser, address: str, add_failed: Callable[..., None]
) -> None:
    add_failed({"id": 1, "queue_name": "a long name of a queue " * 3})
    tab = Tab(browser, address, viewport={"width": 390, "height": 800})
    cells = tab.goto("failed").locator("td[data-label]")
    edges = {round(cell.bounding_box()["x"] + cell.bounding_box()["width"]) for cell in cells.all()}  # type: ignore[index]
    assert (cells.count(), len(edges)) == (4, 1)
    tab.context.close()
