"""Functions that are imported when they are first called.

Every process of an application has the dashboard's addresses, so that a job can write them into a mail. What pages are made of
(forms, logins, metrics, queries) takes 3 MB, and only a process that shows a page is to have it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from werkzeug.utils import import_string

_found = cache(import_string)


def late(place: str) -> Callable[..., Any]:
    """The function that is called `place`, such as "views.job.show", below this package."""
    name = f"{__package__}.{place}"

    def call(*arguments: Any, **named: Any) -> Any:
        return _found(name)(*arguments, **named)

    call.__module__, _, call.__name__ = name.rpartition(".")  # by which others, such as CSRFProtect, know a view
    return call
