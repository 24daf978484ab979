"""The extensions of the test application, made apart from it so that its jobs can be declared on them."""

from __future__ import annotations

from flask_sqlalchemy import SQLAlchemy

from flask_queue import FlaskQueue

db = SQLAlchemy()
queue = FlaskQueue()
