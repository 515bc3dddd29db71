"""`/metrics`, `/healthz` and `/readyz` of the process that runs the feeds; reads only the board."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import CollectorRegistry

from db_migration.config import HttpConfig
from db_migration.reporting import metrics
from db_migration.reporting.board import Board

REQUEST_SECONDS = 10
log = structlog.get_logger()


def answer(path: str, board: Board, registry: CollectorRegistry) -> tuple[HTTPStatus, str, bytes]:
    """Return status, content type and body for a path."""
    if path == "/metrics":
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)
    if path == "/healthz":
        dead = board.dead()
        return _json(not dead, {"dead": dead})
    if path == "/readyz":
        waits = board.not_ready()
        return _json(not waits, {"not_ready": waits})
    return HTTPStatus.NOT_FOUND, "text/plain", b"/metrics, /healthz or /readyz\n"


def _json(ok: bool, body: dict[str, Any]) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps({"ok": ok, **body}).encode() + b"\n"


@contextmanager
def serving(config: HttpConfig, board: Board) -> Iterator[int | None]:
    """Answer requests while the block runs; yields the port, None when it is off or taken.

    A feed does not stop for this: an address that can not be had is a line in the log.
    """
    if config.port == 0:
        yield None
        return
    try:
        server = ThreadingHTTPServer((config.host, config.port), _handler(board))
    except OSError as error:
        hint = "free the port, or set another `http.port` (0: none); then start again"
        found = {"host": config.host, "port": config.port, "error": error.strerror}
        log.warning("no metrics", **found, hint=hint)
        yield None
        return
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _handler(board: Board) -> type[BaseHTTPRequestHandler]:
    registry = metrics.registry(board)

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            self.wfile.write(self._head())

        def do_HEAD(self) -> None:
            self._head()

        def _head(self) -> bytes:
            """Send all but the body, which is returned."""
            status, kind, body = answer(self.path.partition("?")[0], board, registry)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            return body

        def log_message(self, format: str, *args: object) -> None:
            """Keep requests out of the log: a probe asks every few seconds."""

    return Handler
