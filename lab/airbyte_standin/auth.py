"""Who may call the API of an Airbyte on Kubernetes. In compose the proxy asks, not the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING

from . import small, versions
from .settings import Settings, StandinError
from .web import HttpError, Json, Reply, Request, Router, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_SECONDS = 3600
OPEN_PATHS = ("/api/v1/health", "/api/v1/instance_configuration", "/api/v1/applications/token", "/")
NEEDED = (
    "AB_INSTANCE_ADMIN_PASSWORD",
    "AB_INSTANCE_ADMIN_CLIENT_ID",
    "AB_INSTANCE_ADMIN_CLIENT_SECRET",
    "AB_JWT_SIGNATURE_SECRET",
)


def enabled(settings: Settings) -> bool:
    """Say whether the API asks for credentials."""
    return settings.flag("API_AUTHORIZATION_ENABLED", "false")


def add_pages(router: Router) -> None:
    """From 1.8 on the server serves the web application itself."""
    router.add("GET", "/", small.page)


class Gatekeeper:
    """Gives tokens, and checks them."""

    def __init__(self, settings: Settings) -> None:
        """Refuse to start without the four credentials when the API is closed."""
        self._on = enabled(settings)
        self._env: Mapping[str, str] = settings.env
        self._basic_accepted = versions.numbers(settings.version) < (2, 2)
        missing = [name for name in NEEDED if not settings.env.get(name)]
        if self._on and missing:
            msg = f"API_AUTHORIZATION_ENABLED needs {', '.join(missing)}"
            raise StandinError(msg)

    def check(self, request: Request) -> Reply | None:
        """Return a 401 for a request that needs a credential and has none."""
        if not self._on or request.path in OPEN_PATHS:
            return None
        given = request.headers.get("authorization", "")
        if given.startswith("Bearer ") and self._valid(given.removeprefix("Bearer ")):
            return None
        if self._basic_accepted and given.startswith("Basic ") and self._basic(given[6:]):
            return None
        return json_reply({"message": "Unauthorized"}, 401)

    def token(self, request: Request) -> Json:
        """Trade client id and secret for a token."""
        body = request.body
        # Without auth any client gets a token, as nothing checks it.
        if self._on and (
            body.get("client_id") != self._env["AB_INSTANCE_ADMIN_CLIENT_ID"]
            or body.get("client_secret") != self._env["AB_INSTANCE_ADMIN_CLIENT_SECRET"]
        ):
            raise HttpError(401, "Invalid client credentials")
        payload = json.dumps({"exp": time.time() + TOKEN_SECONDS}).encode()
        text = base64.urlsafe_b64encode(payload).decode()
        token = f"{text}.{self._sign(text)}"
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}

    def _sign(self, text: str) -> str:
        key = self._env.get("AB_JWT_SIGNATURE_SECRET", "none").encode()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def _valid(self, token: str) -> bool:
        text, _, signature = token.partition(".")
        if not hmac.compare_digest(signature, self._sign(text)):
            return False
        return float(json.loads(base64.urlsafe_b64decode(text))["exp"]) > time.time()

    def _basic(self, encoded: str) -> bool:
        try:
            password = base64.b64decode(encoded).decode().partition(":")[2]
        except ValueError:
            return False
        return hmac.compare_digest(password, self._env["AB_INSTANCE_ADMIN_PASSWORD"])
