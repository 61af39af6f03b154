"""Stand-in for a service process: ready at once, returns its environment over HTTP, ends on SIGTERM."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def command(*_: str) -> list[str]:
    """Starts one in the place of any service process."""
    return [sys.executable, "-m", "tests.system.standin"]


class Answers(BaseHTTPRequestHandler):
    """Every path answers 200 with the process's own variables."""

    def do_GET(self) -> None:
        """Serves them as JSON."""
        self.send_response(200)
        self.end_headers()
        own = {name: value for name, value in os.environ.items() if name.startswith("HALFDAY_")}
        self.wfile.write(json.dumps(own).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    ports = [os.environ["HALFDAY_HEALTH_PORT"], *filter(None, [os.environ.get("HALFDAY_HTTP_PORT")])]
    servers = [ThreadingHTTPServer(("127.0.0.1", int(port)), Answers) for port in ports]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()
