"""Serve the outside world: lab-only, and no part of Airbyte."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .ledger import Ledger
from .sources import Sources

if TYPE_CHECKING:
    from types import FrameType

DEFAULT_LIMIT = 500


class World:
    """Sources and ledger, kept in a folder."""

    def __init__(self, folder: Path, rate: float) -> None:
        """Take up where a former process left."""
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.sources = Sources(rate)
        self._births = folder / "sources.json"
        self._lock = threading.Lock()
        born = json.loads(self._births.read_text()) if self._births.exists() else {}
        self.sources.restore(born, {})

    def get(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        """Answer a GET."""
        kind, _, rest = path.strip("/").partition("/")
        if path == "/health":
            return {"available": True, "labOnly": True}
        if path == "/ledger/verdict":
            return self.ledger.verdict(float(query.get("since", ["0"])[0]))
        if path == "/ledger":
            since = int(query.get("since", ["0"])[0])
            return {"entries": self.ledger.entries[since:]}
        if kind == "source" and "/" not in rest:
            first = int(query.get("from", ["1"])[0])
            limit = int(query.get("limit", [str(DEFAULT_LIMIT)])[0])
            found = self.sources.records(rest, first, limit)
            self._remember()
            return found
        raise LookupError(path)

    def post(self, path: str, body: dict[str, Any], peer: str) -> dict[str, Any]:
        """Answer a POST."""
        kind, identity, verb = [*path.strip("/").split("/", 2), "", ""][:3]
        if kind == "destination" and identity and not verb:
            return {"stored": self.ledger.append(identity, peer, body)}
        if kind == "destination" and verb == "commit":
            return {"committed": self.ledger.commit(identity, peer, body)}
        if kind == "source" and verb == "grow":
            return {"count": self.sources.grow(identity, int(body["to"]))}
        if kind == "source" and verb == "pace":
            self.sources.pace(identity, int(body["records"]), float(body["seconds"]))
            return {"records": int(body["records"]), "seconds": float(body["seconds"])}
        raise LookupError(path)

    def _remember(self) -> None:
        born = self.sources.births()
        with self._lock:
            text = json.dumps(born)
            if not self._births.exists() or self._births.read_text() != text:
                fresh = self._births.with_suffix(".new")
                fresh.write_text(text)
                fresh.replace(self._births)


class Handler(BaseHTTPRequestHandler):
    """HTTP to World."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    world: World

    def do_GET(self) -> None:
        """Read."""
        parts = urlsplit(self.path)
        self._answer(lambda: self.world.get(parts.path, parse_qs(parts.query)))

    def do_POST(self) -> None:
        """Write."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        peer = str(self.client_address[0])
        self._answer(lambda: self.world.post(urlsplit(self.path).path, json.loads(raw), peer))

    def _answer(self, action: Any) -> None:  # noqa: ANN401 - one of the two lambdas above
        try:
            status, value = 200, action()
        except LookupError as error:
            status, value = 404, {"message": f"not known: {error}"}
        except (TypeError, ValueError, OSError) as error:
            status, value = 400, {"message": str(error)}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""


def main() -> int:
    """Serve until SIGTERM."""
    folder = Path(os.environ.get("WORLD_DATA", "/var/lib/world"))
    port = int(os.environ.get("WORLD_PORT", "8080"))
    rate = float(os.environ.get("WORLD_RECORDS_PER_SECOND", "1"))
    world = World(folder, rate)
    server = ThreadingHTTPServer(
        ("0.0.0.0", port),  # noqa: S104 - a container's own interface
        type("WorldHandler", (Handler,), {"world": world}),
    )
    server.daemon_threads = True
    stop = threading.Event()

    def end(_signum: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    threading.Thread(target=server.serve_forever, args=(1.0,), daemon=True).start()
    sys.stdout.write(f"world: listening on {port}, ledger in {folder}\n")
    sys.stdout.flush()
    # Without a limit it would sleep through a signal that another thread was handed.
    while not stop.wait(0.2):
        continue
    server.shutdown()
    server.server_close()
    world.ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
