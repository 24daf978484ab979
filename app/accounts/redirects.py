"""Where to go after logging in: only to pages of this site, whatever the link that led here says."""

from urllib.parse import urlsplit

from flask import request, url_for


def is_local(target: str) -> bool:
    """Whether a browser that is sent there stays on this site.

    Browsers take a backslash for a slash and leave out tabs and line breaks, so that `/\\evil.example` and
    `/<tab>/evil.example` would lead away as `//evil.example` does.
    """
    if "\\" in target or any(ord(character) <= 0x20 for character in target):
        return False
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith("//")


def next_page() -> str:
    """The page that `next` in the address names, or the front page."""
    target = request.args.get("next", "")
    return target if is_local(target) else url_for("posts.index")
