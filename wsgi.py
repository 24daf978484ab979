"""The application for a WSGI server, and `python wsgi.py`, which serves it with waitress.

Beside the pages it runs the queue with QUEUE_IN_WEB=1, and the replication of the databases with LITESTREAM_ENABLED=1.
"""

import argparse
import logging
import os
import sys

from click import ClickException

from app import create_app
from app.readiness import require_tables
from app.server import WebServer, bind, companions
from flask_litestream import LitestreamError
from flask_queue.errors import QueueError

try:
    app = create_app()
except ClickException as error:
    sys.exit(f"Error: {error}")


def main() -> None:
    """Serve until told to stop. The address is taken before anything else is started."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with app.app_context():
        require_tables()
    with bind(options.host, options.port) as listener, companions(app):
        print(f"Lorem News is at http://{options.host}:{listener.getsockname()[1]}", flush=True)
        WebServer(app, listener).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # An empty HOST is none: as an address it would be every address of the machine.
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT", "8000")
    parser.add_argument("--host", default=host, help=f"address to listen on, by default HOST or {host}")
    parser.add_argument("--port", default=port, type=_port, help=f"by default PORT or {port}; 0 is any free one")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    try:
        main()
    except (ClickException, QueueError, LitestreamError) as error:
        sys.exit(f"Error: {error}")
