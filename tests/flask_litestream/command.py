"""A `flask litestream` command in a process of its own.

python -m tests.flask_litestream.command FOLDER [KEY=VALUE ...] -- COMMAND
"""

from __future__ import annotations

import sys
from pathlib import Path

from flask.cli import ScriptInfo
from flask_sqlalchemy import SQLAlchemy

from flask_litestream import FlaskLitestream

from .stage import make_app

if __name__ == "__main__":
    end = sys.argv.index("--")
    settings = dict(pair.split("=", 1) for pair in sys.argv[2:end])
    app = make_app(Path(sys.argv[1]), SQLAlchemy(), FlaskLitestream(), None, **settings)
    app.cli.main(["litestream", *sys.argv[end + 1 :]], obj=ScriptInfo(create_app=lambda: app))
