"""ingress-nginx: one port for everything, and 503 while the server behind it is not ready."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .store import Store

BUILDER_PATH = "/api/v1/connector_builder"
BUILDER = "airbyte-abctl-connector-builder-server"
SERVER = "airbyte-abctl-server"
UPSTREAM_SECONDS = 60
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
Answer = tuple[int, list[tuple[str, str]], bytes]


class Ingress:
    """Routes by path, to Deployments that are ready."""

    def __init__(self, store: Store, ready_port: Callable[[str], int | None]) -> None:
        """Listen not yet."""
        self._store = store
        self._ready_port = ready_port
        self._server: ThreadingHTTPServer | None = None

    def start(self, port: int) -> None:
        """Serve in the background."""
        handler = type("IngressHandler", (_Handler,), {"ingress": self})
        self._server = ThreadingHTTPServer(("0.0.0.0", port), handler)  # noqa: S104 - as kind does
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(1.0,), daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.server_close()

    def target(self, path: str, host: str) -> int | str:
        """Return the port behind a path, or the text of the refusal."""
        ingress = self._store.get("ingresses", "ingress-abctl")
        if not self._store.get("releases", "ingress-nginx") or ingress is None:
            return "404 Not Found"
        if ingress["hosts"] and host.partition(":")[0] not in ingress["hosts"]:
            return "404 Not Found"
        name = SERVER
        if path == BUILDER_PATH or path.startswith(BUILDER_PATH + "/"):
            name = BUILDER
        return self._ready_port(name) or "503 Service Temporarily Unavailable"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    ingress: Ingress

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = self.ingress.target(self.path, self.headers.get("Host") or "")
        if isinstance(found, str):
            answer: Answer = (int(found[:3]), [], f"<h1>{found}</h1>\n".encode())
        else:
            answer = self._forward(found, body)
        status, headers, text = answer
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - names of the base class

    def _forward(self, port: int, body: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=UPSTREAM_SECONDS)
        kept = {k: v for k, v in self.headers.items() if k.lower() not in HOP_HEADERS}
        try:
            connection.request(self.command, self.path, body=body or None, headers=kept)
            answer = connection.getresponse()
            headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP_HEADERS]
            return answer.status, headers, answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 502, [], f"<h1>502 Bad Gateway</h1>{error}\n".encode()
        finally:
            connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""
