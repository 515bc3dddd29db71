"""Where a load writes to now, and how it signs in there."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import socket
import stat
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import http.client
    from collections.abc import Mapping

LAB_NETWORK = ipaddress.ip_network("198.51.100.0/24")
TOKEN_PATH = "/api/v1/applications/token"  # noqa: S105 - a route's name


class LoadError(Exception):
    """The load may not be made as asked."""


def check(url: str) -> str:
    """Give back a URL without its last slash; refuse one that leads out of the lab."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host))
    except OSError as error:
        msg = f"target must be a URL of the lab, got {url!r}"
        raise LoadError(msg) from error
    if not address.is_loopback and address not in LAB_NETWORK:
        msg = f"target must be a loopback or lab address ({LAB_NETWORK}), got {host}"
        raise LoadError(msg)
    return url.rstrip("/")


class Target:
    """One URL for ever, or the first line of a file, read again before every write."""

    def __init__(self, url: str, file: Path | None) -> None:
        """Refuse at once what can not be written to at all."""
        self._file = file
        self._url = check(url)
        self._seen = ""
        self.now()

    @property
    def moves(self) -> bool:
        """Whether somebody else may change it."""
        return self._file is not None

    def now(self) -> str:
        """Where to write; an empty or missing file leaves it as it was."""
        lines = self._file.read_text().split() if self._file and self._file.exists() else []
        if lines and lines[0] != self._seen:
            self._url, self._seen = check(lines[0]), lines[0]
        return self._url


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to sign in: by user and password at Compose's proxy, by client at an abctl Airbyte."""

    user: str = ""
    password: str = ""
    client_id: str = ""
    client_secret: str = ""

    def header(self, connection: http.client.HTTPConnection) -> str:
        """Return the Authorization header; a client trades its secret for a token first.

        Raises LookupError when the Airbyte gives no token, OSError when it does not answer.
        """
        if not self.client_id:
            pair = f"{self.user}:{self.password}".encode()
            return "Basic " + base64.b64encode(pair).decode() if self.user else ""
        body = json.dumps({"client_id": self.client_id, "client_secret": self.client_secret})
        connection.request("POST", TOKEN_PATH, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != HTTPStatus.OK:
            msg = f"{answer.status} for a token: {text.decode(errors='replace')[:200]}"
            raise LookupError(msg)
        return "Bearer " + str(json.loads(text)["access_token"])


def logins(path: Path | None) -> Mapping[str, Login]:
    """Read a file of the owner's alone: {URL: {"user", "password"} or {"client_id", …}}."""
    if path is None:
        return {}
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        msg = f"{path} must be readable for its owner alone: chmod 600 {path}"
        raise LoadError(msg)
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return {url.rstrip("/"): Login(**values) for url, values in found.items()}


def write_logins(path: Path, by_url: Mapping[str, Login]) -> None:
    """Write such a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps({url: vars(login) for url, login in by_url.items()}))


def point(file: Path, url: str) -> None:
    """Have loads that follow `file` write to `url`; whole or not at all, as DNS changes."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{check(url)}\n")
    os.replace(fresh, file)  # noqa: PTH105 - atomic
