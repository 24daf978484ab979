"""The page in a real browser: without JavaScript, on a phone and on a desk, in light and in dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from flask_queue.testing import drain

from ..harness.serving import serving
from .stage import Stage


@pytest.fixture
def address(open_to_roles: Stage) -> Iterator[str]:
    """The site, with one proved and one broken backup."""
    open_to_roles.verify("primary")
    shutil.rmtree(open_to_roles.replica("queue"))
    open_to_roles.verify("queue")
    with serving(open_to_roles.app) as address:
        yield address


def test_verify_now_works_without_javascript(browser: Browser, address: str, open_to_roles: Stage) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/in/admin")
        page.goto(f"{address}/litestream/")
        page.get_by_role("region", name="primary").get_by_role("button", name="Verify now").click()
        expect(page.get_by_text("The backup of primary will be verified by job 1.")).to_be_visible()
        with open_to_roles.app.app_context():
            assert drain() == 1
        expect(page.get_by_text("1 job is under way")).to_have_count(0, timeout=15_000)  # the page looks again by itself


def test_restore_works_without_javascript(browser: Browser, address: str, open_to_roles: Stage) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/in/admin")
        page.goto(f"{address}/litestream/")
        card = page.get_by_role("region", name="primary")
        card.get_by_text("Restore to a new file").click()
        card.get_by_role("button", name="Restore", exact=True).click()
        expect(page.get_by_text("primary will be restored to a new file by job 1.")).to_be_visible()
        with open_to_roles.app.app_context():
            assert drain() == 1
        page.goto(f"{address}/litestream/")
        expect(page.get_by_role("region", name="Restored copies").get_by_text("primary-")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [340, 1200])
def test_it_fits_and_can_be_read(browser: Browser, address: str, scheme: str, width: int) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        complaints: list[str] = []
        page.goto(f"{address}/in/admin")
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{address}/litestream/")
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT) == []
        assert page.evaluate(SMALL) == []
        assert complaints == []


# Texts whose contrast with what is behind them is below 4.5 (WCAG AA).
FAINT = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const channel = value => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const says = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!says || !element.checkVisibility()) continue;
    const [one, other] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""

# Buttons too small for a thumb.
SMALL = """() => [...document.querySelectorAll("button, .actions summary")]
  .filter(element => element.getBoundingClientRect().height < 40).map(element => element.textContent.trim())"""
