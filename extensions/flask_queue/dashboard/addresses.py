"""Names in addresses, and where to go back to: queues may be called "a/b", "100%" or "..", and nobody is sent off this site."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import urlsplit

from flask import request, url_for
from werkzeug.routing import PathConverter, ValidationError

#: What can be done to something with a name: the last part of the address of a form.
ACTIONS = ("pause", "resume", "clear", "run", "unschedule")

#: What pages understand in the query of their address. The rest is nobody's, and not carried along.
QUERY = ("queue", "name", "search", "error_class", "finished_after", "finished_before", "page", "size", "period")

_PLAIN = re.compile(r"[^/~][^\x00-\x1f\x7f]*")
_AWKWARD = re.compile(rf"//|(^|/)\.\.?(/|$)|/$|/({'|'.join(ACTIONS)})$")
_ESCAPE = "~"


class NameConverter(PathConverter):
    """A name as part of an address. One that an address cannot hold (a double slash, "..") or that ends like the address of
    an action travels as "~" and base64, so that every address has one meaning.
    """

    def to_url(self, value: str) -> str:
        name = str(value)
        if is_plain(name):
            return super().to_url(name)
        return _ESCAPE + urlsafe_b64encode(name.encode()).decode().rstrip("=")

    def to_python(self, value: str) -> str:
        if not is_plain(value) and not value.startswith(_ESCAPE):
            raise ValidationError
        name = value if is_plain(value) else unescape(value.removeprefix(_ESCAPE))
        if "\0" in name:  # which PostgreSQL refuses to look for
            raise ValidationError
        return name


def is_plain(name: str) -> bool:
    """Whether a name can stand in an address as it is."""
    return bool(_PLAIN.fullmatch(name)) and not _AWKWARD.search(name)


def unescape(text: str) -> str:
    """The name that `to_url` escaped."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:  # no base64, or no UTF-8
        raise ValidationError from None


def this_page(**changes: Any) -> str:
    """The address of the page that is being shown, with what it is narrowed to: for forms to come back to, and for links.

    :param changes: parts of the query to be replaced; None takes one away
    """
    query = {name: value for name, value in request.args.items() if name in QUERY}
    return url_for(str(request.endpoint), **{**query, **changes, **(request.view_args or {})})


def way_back(default: str) -> str:
    """Where a form wants to go back to, if that is a page of the dashboard; else `default`."""
    target = request.form.get("next", "")
    return target if is_own_page(target) else default


def is_own_page(target: str) -> bool:
    """Whether an address is a path below the dashboard, however it is read."""
    home = url_for(".overview")
    try:
        parts = urlsplit(target)
    except ValueError:  # no address at all, such as "//["
        return False
    return (
        (target.startswith(home) or parts.path == home.rstrip("/"))
        and not parts.scheme
        and not parts.netloc
        and not target.startswith("//")
        and not re.search(r"[\\\x00-\x20\x7f]", target)
        and ".." not in parts.path.split("/")
    )
