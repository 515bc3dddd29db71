"""Roles that keep no state: init, webapp, connector-builder-server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .runtime import log
from .web import Reply, Request, Router, serve, until_stopped

if TYPE_CHECKING:
    from .settings import Settings

PAGE = b"<!doctype html><title>Airbyte (lab stand-in)</title><h1>Airbyte (lab stand-in)</h1>\n"


def page(_request: Request) -> Reply:
    """Give the web application's only page."""
    return Reply(body=PAGE, content_type="text/html; charset=utf-8")


def run(settings: Settings) -> int:
    """Run one of them."""
    if settings.role == "init":
        log("init: prepared the folders of local connectors (nothing to do in the lab)")
        return 0
    router = Router()
    router.add("GET", "/", page)
    router.add("GET", "/health", lambda _request: {"status": "ok"})
    router.add("GET", "/api/v1/health", lambda _request: {"available": True})
    router.add("GET", "/v1/stream/read", lambda _request: {"logs": []})
    until_stopped(serve(settings.port(8080), router))
    return 0
