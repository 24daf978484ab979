"""The lists of jobs by state, and the buttons that act on everything a list shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response

from ...current import current_queue
from ...errors import InvalidTransition, QueueError
from ...models import State
from ..access import current_role
from ..addresses import way_back
from ..filters import Filters, read
from ..formatting import plural
from ..listings import BY_SLUG, LISTINGS, Listing
from ..notices import done, refused
from ..pagination import Page
from ..queries.counts import Size, counts
from ..queries.lists import SCAN_LIMIT, count_matching, listed, matching_ids
from ..queries.overview import GROUPED_LIMIT, errors_by_class
from ..rendering import render, zone
from ..roles import Role

if TYPE_CHECKING:
    from ...client import JobHandle

SHOWN_ERRORS = 12
#: A filter that is acted on job by job; and how many jobs of it one click takes.
ERROR_CLASS = "error_class"
BULK_LIMIT = 3_000


def show(listing: Listing) -> ResponseReturnValue:
    """One page of the jobs in one state."""
    queue = current_queue()
    filters = _read(request.args, listing)
    with queue.database.connect() as connection:
        sizes = counts(connection, closely={listing.state})
        total = count_matching(connection, listing, filters) if filters else sizes[listing.state]
        page = Page.clamp(request.args.get("page"), request.args.get("size"), total.reachable)
        rows = listed(connection, listing, filters, limit=page.size, offset=page.offset)
        errors = errors_by_class(connection, SHOWN_ERRORS) if listing.state is State.FAILED else []
    return render(
        "jobs.html",
        sizes,
        listing=listing,
        filters=filters,
        total=total,
        page=page,
        rows=rows,
        errors=errors,
        grouped_limit=GROUPED_LIMIT,
        bulk_limit=BULK_LIMIT if ERROR_CLASS in filters.values else None,
        searched=SCAN_LIMIT if _is_cut_short(listing, filters, sizes[listing.state]) else None,
        queue_names=sorted({definition.queue for definition in queue.definitions.values()}),
        job_names=sorted(queue.definitions),
    )


def _is_cut_short(listing: Listing, filters: Filters, size: Size) -> bool:
    """Whether a filter looked at the head of the list only."""
    return size.number > SCAN_LIMIT and bool(filters.values.keys() - listing.indexed)


def retry_all() -> ResponseReturnValue:
    """Retry all failed jobs that pass the filters in the form, as they are now."""
    listing = LISTINGS[State.FAILED]
    number = _retry(_filters(listing))
    done(f"Retried {plural(number, 'job')}")
    return _back_to(listing)


def _retry(filters: Filters) -> int:
    if ERROR_CLASS in filters.values:
        return _one_by_one(filters, lambda handle: handle.retry())
    return current_queue().jobs.failed.where(**filters.values).retry_all()


def discard_all(slug: str) -> ResponseReturnValue:
    """Delete all jobs of a list that pass the filters in the form, as they are now."""
    listing = BY_SLUG[slug]
    try:
        number = _discard(listing, _filters(listing))
    except QueueError as error:
        refused(str(error))
    else:
        done(f"Discarded {plural(number, 'job')}")
    return _back_to(listing)


def _discard(listing: Listing, filters: Filters) -> int:
    if ERROR_CLASS in filters.values:
        return _one_by_one(filters, lambda handle: handle.discard())
    return current_queue().jobs.in_state(listing.state).where(**filters.values).discard_all()


def _one_by_one(filters: Filters, verb: Callable[[JobHandle], object]) -> int:
    """Act on failed jobs by their error, which no bulk verb knows. A job that somebody else has moved is left alone."""
    queue = current_queue()
    with queue.database.connect() as connection:
        ids = matching_ids(connection, LISTINGS[State.FAILED], filters, BULK_LIMIT)
    number = 0
    for handle in filter(None, map(queue.jobs.get, ids)):
        with suppress(InvalidTransition):
            verb(handle)
            number += 1
    return number


def _filters(listing: Listing) -> Filters:
    """The filters in the form. One that is not understood must not be left out: the button would do more than it said."""
    filters = _read(request.form, listing)
    if filters.problems:
        abort(400, " ".join((*filters.problems, "Nothing was changed.")))
    return filters


def _read(source: Mapping[str, str], listing: Listing) -> Filters:
    return read(source, listing, zone(), may_search=current_role() == Role.ADMIN)


def _back_to(listing: Listing) -> Response:
    return redirect(way_back(url_for(f".{listing.endpoint}")))
