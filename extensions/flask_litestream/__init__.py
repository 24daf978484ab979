"""Litestream for Flask: the SQLite databases are copied as they change, and every day it is proved that they come back.

Apart from the modules below so that an application imports one name; all else is private.
"""

from .errors import LitestreamError, VerificationFailed
from .extension import FlaskLitestream
from .jobs import verification_job
from .outcomes import Verification
from .schema import include_name

__all__ = [
    "FlaskLitestream",
    "LitestreamError",
    "Verification",
    "VerificationFailed",
    "include_name",
    "verification_job",
]
