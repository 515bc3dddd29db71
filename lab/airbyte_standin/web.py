"""A very small HTTP server: routes to functions that take and give JSON."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from . import runtime
from .runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a route's function gets."""

    path: str
    query: Mapping[str, list[str]]
    body: Json
    headers: Mapping[str, str]
    peer: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that is not JSON with status 200."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpError(Exception):
    """Ends a request with a status other than 200 and Airbyte's form of error body."""

    def __init__(self, status: int, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.status = status


Route = "Callable[[Request], Json | Reply]"
Gate = "Callable[[Request], Reply | None]"


class Router:
    """Routes by method and path; a path ending in `/` takes everything under it."""

    def __init__(self, gate: Callable[[Request], Reply | None] | None = None) -> None:
        """`gate` sees every request first; what it returns, if anything, is the answer."""
        self.routes: dict[tuple[str, str], Callable[[Request], Json | Reply]] = {}
        self.gate = gate

    def add(self, method: str, path: str, route: Callable[[Request], Json | Reply]) -> None:
        """Take in one route."""
        self.routes[method, path] = route

    def answer(self, method: str, request: Request) -> Reply:
        """Find the route and run it; an unforeseen error becomes a 500 that says so."""
        try:
            refusal = self.gate(request) if self.gate else None
            result = refusal or self._find(method, request.path)(request)
        except HttpError as error:
            return json_reply({"message": str(error)}, error.status)
        except Exception as error:  # a request's failure must not end the server
            log(f"{method} {request.path}: {type(error).__name__}: {error}")
            return json_reply({"message": f"Internal Server Error: {error}"}, 500)
        return result if isinstance(result, Reply) else json_reply(result)

    def _find(self, method: str, path: str) -> Callable[[Request], Json | Reply]:
        route = self.routes.get((method, path))
        if route is not None:
            return route
        prefixes = [known for verb, known in self.routes if verb == method and known[-1] == "/"]
        for prefix in sorted(prefixes, key=len, reverse=True):
            if path.startswith(prefix) and prefix != "/":
                return self.routes[method, prefix]
        raise HttpError(404, "Object not found.")


def json_reply(value: object, status: int = 200) -> Reply:
    """Make a JSON answer."""
    return Reply(status=status, body=json.dumps(value, default=str).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    router: Router
    timeout = 120

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = None
        if isinstance(body, dict):
            request = Request(
                path=parts.path,
                query=parse_qs(parts.query),
                body=body,
                headers={name.lower(): value for name, value in self.headers.items()},
                peer=str(self.client_address[0]),
            )
            reply = self.router.answer(self.command, request)
        else:
            reply = json_reply({"message": "The body must be a JSON object."}, 400)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - names of the base class

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""


class Server(ThreadingHTTPServer):
    """Listens on all addresses, and again at once after a restart."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is not news."""

    def server_bind(self) -> None:
        """Skip the look-up of our own name, which can take seconds without DNS."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "standin", self.server_address[1]


def start(port: int, handler: type[BaseHTTPRequestHandler]) -> Server:
    """Serve in the background."""
    server = Server(("0.0.0.0", port), handler)  # noqa: S104 - a container's own interface
    threading.Thread(target=server.serve_forever, args=(1.0,), daemon=True).start()
    return server


def serve(port: int, router: Router) -> Server:
    """Serve a router in the background."""
    handler = type("Handler", (_Handler,), {"router": router})
    return start(port, handler)


def until_stopped(*servers: Server) -> None:
    """Serve until SIGTERM."""
    runtime.until_stopped()
    for server in servers:
        server.server_close()
