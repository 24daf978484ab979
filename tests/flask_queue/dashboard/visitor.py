"""Somebody who uses the dashboard as a browser without scripts does: reads pages, follows links, presses buttons of forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"script", "style", "title", "template"}


@dataclass
class Element:
    """An element, with what is in it."""

    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        """This element and all below it, in order."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The elements of this name and these attributes."""
        wanted = {key.replace("_", "-").strip("-"): value for key, value in attributes.items()}
        return [each for each in self.walk() if each.name == tag and wanted.items() <= each.attributes.items()]

    @property
    def text(self) -> str:
        """What can be read, with single spaces."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.name not in SILENT:
                yield " "
                yield from child._texts()
                yield " "


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while len(self.stack) > 1:
            if self.stack.pop().name == tag:
                return

    def handle_data(self, data: str) -> None:
        self.stack[-1].children.append(data)


def read(html: str) -> Element:
    """A page as a tree."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.stack[0]


@dataclass
class Page:
    """An answer that was a page."""

    response: TestResponse
    tree: Element

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def path(self) -> str:
        return self.response.request.path

    @property
    def main(self) -> Element:
        """What the page is about, without tabs."""
        return self.tree.all("main")[0]

    @property
    def text(self) -> str:
        return self.main.text

    @property
    def heading(self) -> str:
        return self.main.all("h1")[0].text

    @property
    def notices(self) -> list[str]:
        return [each.text for each in self.main.all("p") if "notice" in each.attributes.get("class", "").split()]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the page's table."""
        return [[cell.text for cell in row.all("td")] for body in self.main.all("tbody") for row in body.all("tr")]

    @property
    def ids(self) -> list[int]:
        """The ids of the jobs in the list, in its order."""
        links = [link for link in self.main.all("a") if link.attributes.get("class") == "job-name"]
        return [int(link.attributes["href"].rpartition("/")[2]) for link in links]

    @property
    def tabs(self) -> dict[str, str]:
        """The numbers beside the tabs."""
        tabs = [link for link in self.tree.all("nav")[0].all("a") if link.attributes.get("class") == "tab"]
        return {tab.all("span")[-2].text: tab.all("span")[-1].text for tab in tabs if len(tab.all("span")) >= 2}

    @property
    def buttons(self) -> list[str]:
        """What can be pressed in the page's own forms."""
        return [button.text for form in self._forms for button in form.all("button")]

    @property
    def _forms(self) -> list[Element]:
        return [form for form in self.main.all("form") if form.attributes.get("method") == "post"]

    def form(self, label: str) -> tuple[str, dict[str, str]]:
        """Address and fields of the first form whose button begins with `label`."""
        for form in self._forms:
            if any(button.text.startswith(label) for button in form.all("button")):
                fields = {each.attributes["name"]: each.attributes.get("value", "") for each in form.all("input")}
                return form.attributes["action"], fields
        raise AssertionError(f"no button {label!r} among {self.buttons} on {self.path}")


class Visitor:
    """A browser with cookies of its own."""

    def __init__(self, app: Flask, role: str | None = None, **environment: Any) -> None:
        self.client = app.test_client()
        self.environment = environment
        if role is not None:
            self.client.get(f"/login?role={role}")

    def get(self, path: str, **options: Any) -> Page:
        """Open a page, wherever it leads."""
        response = self.client.get(self._local(path), follow_redirects=True, environ_overrides=self.environment, **options)
        return Page(response, read(response.text))

    def press(self, page: Page, label: str, **changes: str) -> Page:
        """Press a button, and get the page that this leads to."""
        address, fields = page.form(label)
        return self.post(address, {**fields, **changes})

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        response = self.send(path, fields, **headers)
        while response.status_code in (302, 303):
            response = self.client.get(self._local(response.location), environ_overrides=self.environment)
        return Page(response, read(response.text))

    def send(self, path: str, fields: dict[str, str], **headers: str) -> TestResponse:
        """Send a form without following where it leads."""
        return self.client.post(self._local(path), data=fields, headers=headers, environ_overrides=self.environment)

    def _local(self, path: str) -> str:
        """A path as the application sees it, below the place where it is mounted."""
        return path.removeprefix(self.environment.get("SCRIPT_NAME", ""))

    def token(self) -> str:
        """A valid token of this session."""
        [field] = self.get("/jobs/").tree.all("form", data_themes="")[0].all("input", name="csrf_token")
        return field.attributes["value"]
