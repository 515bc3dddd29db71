"""Calls between the roles, and to the outside world."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from .settings import StandinError

CALL_SECONDS = 20.0


class CallError(StandinError):
    """The other side did not answer, or refused."""


def call(
    url: str, body: dict[str, Any] | None = None, token: str = "", seconds: float = CALL_SECONDS
) -> dict[str, Any]:
    """GET, or POST when there is a body; give back the JSON."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - lab addresses
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            result = json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")[:300]
        msg = f"{url} answered {error.code}: {text}"
        raise CallError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{url} cannot be reached: {error}"
        raise CallError(msg) from error
    return dict(result)
