"""airbyte-proxy: basic auth in front of webapp (8000), API (8001) and builder (8003)."""

from __future__ import annotations

import base64
import hmac
import http.client
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from .web import Server, start, until_stopped

if TYPE_CHECKING:
    from .settings import Settings

PORTS = (8000, 8001, 8003)
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}
UPSTREAM_SECONDS = 90


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    expected: str
    upstream: dict[str, str]

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if not self._allowed():
            self._send(401, [("WWW-Authenticate", 'Basic realm="Restricted"')], b"401\n")
            return
        prefix = max((p for p in self.upstream if self.path.startswith(p)), key=len)
        try:
            status, headers, answer = self._forward(self.upstream[prefix], body)
        except (OSError, http.client.HTTPException) as error:
            # nginx says 502 and the page; the reason helps who reads the lab's logs.
            status, headers, answer = 502, [], f"502 Bad Gateway: {error}\n".encode()
        self._send(status, headers, answer)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - names of the base class

    def _allowed(self) -> bool:
        given = self.headers.get("Authorization") or ""
        return not self.expected or hmac.compare_digest(given.encode(), self.expected.encode())

    def _forward(self, target: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(target, timeout=UPSTREAM_SECONDS)
        kept = {k: v for k, v in self.headers.items() if k.lower() not in HOP_HEADERS}
        if self.expected:
            kept.pop("Authorization", None)
        try:
            connection.request(self.command, self.path, body=body or None, headers=kept)
            answer = connection.getresponse()
            headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP_HEADERS]
            return answer.status, headers, answer.read()
        finally:
            connection.close()

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {"date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""


def expected_header(user: str, password: str) -> str:
    """Return the header a request must bring; empty when there is no auth."""
    if not user:
        return ""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def run(settings: Settings) -> int:
    """Listen on the three ports; nothing listens on 8006."""
    env = settings.env
    api = env.get("INTERNAL_API_HOST", "airbyte-server:8001").removeprefix("http://").rstrip("/")
    webapp = env.get("WEBAPP_HOST", "airbyte-webapp:8080")
    builder = (
        env.get("CONNECTOR_BUILDER_API_HOST")
        or env.get("CONNECTOR_BUILDER_SERVER_API_HOST")
        or "airbyte-connector-builder-server:8080"
    )
    expected = expected_header(
        env.get("BASIC_AUTH_USERNAME", ""), env.get("BASIC_AUTH_PASSWORD", "")
    )
    upstreams = (
        {"/": webapp, "/api/": api, "/lab/": api},
        {"/": api},
        {"/": builder.removeprefix("http://")},
    )
    ports = [int(port) for port in env.get("STANDIN_PORT", "").split(",") if port] or list(PORTS)
    servers: list[Server] = []
    for port, upstream in zip(ports, upstreams, strict=False):
        handler = type("Proxy", (_Proxy,), {"expected": expected, "upstream": upstream})
        servers.append(start(port, handler))
    until_stopped(*servers)
    return 0
