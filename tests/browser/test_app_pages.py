"""The application in a real browser: from signing up to a mail in the outbox, and how its pages look."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app import create_app
from app.extensions import db
from app.models import Post, User

from ..app.served import Served, environment_in

PASSWORD = "a good password"
PHONE, DESKTOP = {"width": 375, "height": 760}, {"width": 1200, "height": 900}
LONG_WORD = "W" * 190
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    """The address of a running site with an admin, a member and a post that means no good, and with its queue."""
    variables = environment_in(folder)
    app = create_app({name: value for name, value in variables.items() if name not in ("PATH", "HOME", "LANG")})
    with app.app_context():
        db.create_all()
        for name in ("root", "mallory"):
            user = User(username=name, email=f"{name}@mail.example", is_admin=name == "root")
            user.set_password(PASSWORD)
            db.session.add(user)
        url = f"https://{'long.' * 12}example/{'x' * 500}"
        post = Post(author=user, title=f"{HOSTILE} {LONG_WORD}"[:200], url=url, body=f"{HOSTILE}\n\n{'w' * 500}")
        db.session.add(post)
        db.session.flush()
        post.add_comment(user, f"{HOSTILE} {'z' * 500}")
        db.session.commit()
        for engine in db.engines.values():
            engine.dispose()
    with Served(variables | {"PORT": "0", "QUEUE_IN_WEB": "1", "PUBLIC_URL": "https://news.example"}) as served:
        yield served.address()


class Tab:
    """A page of one person, which notes what the browser complains about."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.context, self.site = context, site
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("a script ran"), dialog.dismiss()))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "the server responded with a status of" not in text:
            self.complaints.append(text)

    def open(self, path: str) -> Page:
        self.page.goto(self.site + path)
        return self.page

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.page.fill(f"[name={name}]", value)
        self.page.click("main button")

    def log_in(self, username: str) -> None:
        self.open("/login")
        self.fill(username=username, password=PASSWORD)
        expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    def overflow(self) -> int:
        """How many pixels the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width


@pytest.fixture
def tab(browser: Browser, site: str) -> Iterator[Callable[..., Tab]]:
    """Open a tab for someone new: `tab(viewport=PHONE, color_scheme="dark")`."""
    contexts: list[BrowserContext] = []

    def open_tab(**options: Any) -> Tab:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(15_000)
        return Tab(contexts[-1], site)

    yield open_tab
    for context in contexts:
        context.close()


def mail_to(address: str, outbox: Path) -> str:
    """The text of the mail that somebody gets, within a time that nobody would call long."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in outbox.glob("*.eml"):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            if mail["To"] == address:
                return str(mail.get_content())  # type: ignore[attr-defined]
        time.sleep(0.05)
    raise AssertionError(f"no mail to {address} in {list(outbox.glob('*'))}")


def test_from_signing_up_to_a_mail_in_the_outbox(tab: Callable[..., Tab], folder: Path) -> None:
    ada = tab(viewport=PHONE)
    ada.open("/")
    ada.page.get_by_role("link", name="Sign up").click()
    ada.fill(username="ada", email="ada@mail.example", password=PASSWORD)
    expect(ada.page.get_by_role("status")).to_have_text("Welcome to Lorem News, ada.")
    ada.page.get_by_role("link", name="New post").click()
    ada.fill(title="A post from a phone", url="https://example.org/", body="With a text.")
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("A post from a phone")
    path = ada.page.url.removeprefix(ada.site)

    bob = tab(viewport=DESKTOP)
    bob.open(path)
    bob.page.get_by_role("main").get_by_role("link", name="sign up").click()
    bob.fill(username="bob", email="bob@mail.example", password=PASSWORD)
    expect(bob.page).to_have_url(re.compile(f"{path}#comments$"))
    bob.fill(body="Well said.")
    expect(bob.page.get_by_role("status")).to_have_text("Your comment is published.")
    expect(bob.page.locator(".comment")).to_contain_text("Well said.")

    mail = mail_to("ada@mail.example", folder / "outbox")
    assert "bob commented on your post “A post from a phone”" in mail
    assert f"https://news.example{path}#comments" in mail

    bob.page.get_by_role("button", name="Log out").click()
    expect(bob.page.get_by_role("status")).to_have_text("You are logged out.")
    assert ada.complaints == bob.complaints == []


def test_a_mistake_is_explained_beside_the_field_and_what_was_typed_stays(tab: Callable[..., Tab]) -> None:
    eve = tab()
    eve.open("/signup")
    eve.fill(username="e", email="eve@mail.example", password="short")
    name = eve.page.get_by_label("Name")
    expect(name).to_have_value("e")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_accessible_description(re.compile("3 to 30 letters"))
    expect(eve.page.get_by_label("Password")).to_have_accessible_description(re.compile("Use 8 to 200 characters"))
    expect(eve.page.get_by_label("Email")).not_to_have_attribute("aria-invalid", "true")


def test_an_admin_finds_the_jobs_and_a_member_does_not(tab: Callable[..., Tab]) -> None:
    admin, member = tab(), tab()
    admin.log_in("root")
    admin.page.get_by_role("link", name="Jobs").click()
    expect(admin.page).to_have_url(re.compile("/jobs/$"))
    member.log_in("mallory")
    expect(member.page.get_by_role("link", name="Jobs")).to_have_count(0)
    response = member.page.goto(f"{member.site}/jobs/")
    assert response
    assert response.status == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_text_breaks_a_page_or_runs_in_it(tab: Callable[..., Tab], scheme: str, viewport: dict[str, int]) -> None:
    mallory = tab(viewport=viewport, color_scheme=scheme)
    mallory.log_in("mallory")
    for path in ("/", "/newest", "/posts/1", "/posts/new", "/users/mallory", "/nothing"):
        mallory.open(path)
        assert mallory.overflow() <= 0, path
    assert mallory.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_easy_to_read_on_its_background(tab: Callable[..., Tab], scheme: str) -> None:
    """At least 4.5 : 1, as WCAG asks for."""
    reader = tab(viewport=PHONE, color_scheme=scheme)
    for path in ("/", "/posts/1", "/login", "/nothing"):
        page = reader.open(path)
        for selector in ("body", ".meta", ".wordmark", ".sections a", ".button", ".advice", ".place", ".colophon", "a"):
            for index in range(min(page.locator(selector).count(), 3)):
                contrast = page.locator(selector).nth(index).evaluate(CONTRAST)
                assert contrast >= 4.5, f"{selector} on {path}: {contrast:.2f}"


def test_who_has_no_mouse_sees_where_they_are(tab: Callable[..., Tab]) -> None:
    reader = tab()
    page = reader.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    for _ in range(6):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


# The contrast of an element's text to the first background behind it that is not transparent.
CONTRAST = """element => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const luminance = colour => channels(colour).slice(0, 3)
        .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    let behind = element;
    while (channels(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""
