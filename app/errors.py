"""Error pages, in words that say what can be done."""

from flask import Flask, current_app, render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, default_exceptions

from app.extensions import db

# Title and advice. Where the code that gave up said more than the standard sentence, that is shown instead.
PAGES = {
    400: ("That did not arrive well", "Go back, reload the page and try again."),
    403: ("Not for you", "You are logged in, but this page is for others."),
    404: ("Nothing here", "The page may have moved, or never was. The front page is a good place to go on."),
    405: ("Not this way", "This address does not take what was sent to it."),
    413: ("Too much", "What you sent is larger than this site takes. Make it shorter and try again."),
    500: ("Something broke", "It is our fault, and it is in the log. Try again in a moment."),
    503: ("Back in a moment", "The database does not answer. Nothing that was saved is lost; try again soon."),
}


def init_app(app: Flask) -> None:
    """Show a page of our own for every error in the table."""
    for code in PAGES:
        app.register_error_handler(code, _page)
    app.register_error_handler(CSRFError, _form_expired)
    app.register_error_handler(OperationalError, _database_down)


def _page(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code >= 500:
        return _fault(code), code
    title, advice = PAGES[code]
    if error.description != default_exceptions[code].description:
        advice = error.description or advice
    return render_template("errors/error.html", code=code, title=title, advice=advice), code


def _database_down(error: OperationalError) -> ResponseReturnValue:
    current_app.logger.error("The database refused: %s", error.orig, exc_info=error)
    db.session.rollback()
    return _fault(503), 503, {"Retry-After": "10"}


def _fault(code: int) -> str:
    """A page about a fault of ours. It must not need the database, which `render_template` asks for who is logged in."""
    title, advice = PAGES[code]
    return current_app.jinja_env.get_template("errors/fault.html").render(code=code, title=title, advice=advice)


def _form_expired(error: CSRFError) -> ResponseReturnValue:
    advice = "The form was open too long, or did not come from this site. Go back, reload the page and send it again."
    return render_template("errors/error.html", code=400, title=PAGES[400][0], advice=advice), 400
