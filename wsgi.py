"""The application for a WSGI server, and `python wsgi.py`, which serves it with waitress.

Beside the pages it runs the queue with QUEUE_IN_WEB=1, and the replication of the databases with LITESTREAM_ENABLED=1.
"""

import argparse
import logging
import os
import sys

from app import create_app
from app.environment import ConfigurationError
from app.readiness import require_tables
from app.server import WebServer, bind

try:
    app = create_app()
except ConfigurationError as error:
    sys.exit(f"Error: {error}")


def main() -> None:
    """Serve until told to stop. The address is taken before anything else is started."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with app.app_context():
        require_tables()
    with bind(options.host, options.port) as listener:
        print(f"Lorem News is at http://{options.host}:{listener.getsockname()[1]}", flush=True)
        WebServer(app, listener).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve Lorem News.", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"), help="address to listen on (HOST)")
    parser.add_argument("--port", default=os.environ.get("PORT", "8000"), type=int, help="port, 0 for any free one (PORT)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
