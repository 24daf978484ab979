"""The test application: `flask --app tests.harness.application queue start` runs it in a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import hooks, jobs
from .extensions import db, queue

__all__ = ["create_app", "hooks", "jobs"]


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application, configured by `config`, or by the JSON in HARNESS_CONFIG as its processes are."""
    app = Flask("harness")
    app.config["SECRET_KEY"] = "for tests"
    app.config.from_mapping(config if config is not None else json.loads(os.environ["HARNESS_CONFIG"]))
    db.init_app(app)
    queue.init_app(app, db)
    return app
