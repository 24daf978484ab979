"""The page about the backups: daemon, databases, restorable range, verifications; "verify now" and "restore".

Apart because it brings views, templates and style of its own, and because an application may leave it out.
"""

from .views import blueprint

__all__ = ["blueprint"]
