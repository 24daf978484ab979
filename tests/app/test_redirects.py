"""`next` leads to pages of this site only."""

import pytest
from flask import Flask

from app.accounts.redirects import is_local

from .visitor import Visitor

LOCAL = ["/", "/posts/1", "/posts/1?page=2#comments", "/a:b", "/search?q=https://example.org", "/caf%C3%A9"]
FOREIGN = [
    "",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "\x00//evil.example",
    "evil.example",
    "posts/1",
    "//[evil",
    "http://[evil",
]


@pytest.mark.parametrize("target", LOCAL)
def test_a_path_of_this_site_is_local(target: str) -> None:
    assert is_local(target)


@pytest.mark.parametrize("target", FOREIGN)
def test_whatever_could_lead_elsewhere_is_not_local(target: str) -> None:
    assert not is_local(target)


@pytest.mark.parametrize("target", FOREIGN)
def test_logging_in_with_a_foreign_next_stays_on_the_site(app: Flask, make_user, target: str) -> None:
    make_user("ada")
    visitor = Visitor(app)
    page = visitor.open("/login", query_string={"next": target})
    token = page.text.split('name="csrf_token" type="hidden" value="')[1].split('"')[0]
    fields = {"csrf_token": token, "username": "ada", "password": "a good password"}
    response = visitor.client.post("/login", query_string={"next": target}, data=fields)
    assert (response.status_code, response.location) == (302, "/")


def test_logging_in_leads_on_to_where_it_was_asked_for(app: Flask, make_user) -> None:
    make_user("ada")
    visitor = Visitor(app)
    login = visitor.open("/posts/new").location
    response = visitor.send(login, username="ada", password="a good password")
    assert response.location == "/posts/new"


def test_signing_up_leads_on_to_where_it_was_asked_for(visitor: Visitor) -> None:
    fields = {"username": "ada", "email": "ada@mail.example", "password": "a good password"}
    assert visitor.send("/signup?next=/posts/new", **fields).location == "/posts/new"


def test_a_next_that_leads_elsewhere_is_not_followed_by_who_is_logged_in_already(ada: Visitor) -> None:
    assert ada.open("/login?next=//evil.example").location == "/"
