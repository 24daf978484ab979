"""A web server with Litestream beside it, for tests that end it in every way: python -m tests.flask_litestream.server.

    python -m tests.flask_litestream.server FOLDER [waitress | reloader | fork] [SETTING=VALUE ...]

It writes one line when it serves, and ends on SIGTERM as `python wsgi.py` does.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import waitress
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_litestream import FlaskLitestream

from .stage import make_app


def main(folder: Path, how: str, settings: dict[str, str]) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    litestream = FlaskLitestream()
    app = make_app(folder, SQLAlchemy(), litestream, None, **settings)
    with litestream.running(app) as replicator:
        if how == "fork":
            leave_from_a_forked_child()
        print(f"serving {os.getpid()} {replicator.state.value if replicator else 'off'}", flush=True)
        serve(app, folder, reload=how == "reloader")


def serve(app: Flask, folder: Path, *, reload: bool) -> None:
    if reload:
        watched = [str(folder / "watched.txt")]
        app.run(port=0, debug=True, use_reloader=True, reloader_type="stat", extra_files=watched)
    else:
        waitress.serve(app, host="127.0.0.1", port=0, _quiet=True)


def leave_from_a_forked_child() -> None:
    """As a worker of a fork supervisor that ends by leaving the code of the server."""
    if (child := os.fork()) == 0:
        sys.exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    pairs = [argument.split("=", 1) for argument in sys.argv[3:]]
    main(Path(sys.argv[1]), sys.argv[2], dict(pairs))
