"""Whether the primary database can be worked with, asked by what would otherwise fail halfway: commands and the server."""

from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from app.environment import ConfigurationError
from app.extensions import db
from app.models import User


def require_tables() -> None:
    """Go on only with a database that answers and has tables.

    :raises ConfigurationError: With what to do about it.
    """
    try:
        ready = inspect(db.engine).has_table(User.__tablename__)
    except OperationalError as error:
        sentence = f"The primary database does not answer ({error.orig}). See SQLALCHEMY_DATABASE_URI."
        raise ConfigurationError(sentence) from error
    if not ready:
        raise ConfigurationError("The primary database has no tables yet. Make them with: flask db upgrade")
