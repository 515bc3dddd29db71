"""A small client of an Airbyte: its connections and its health (facts 5; 0.63 and 1.8.5).

abctl's Airbyte trades client id and secret for a token, compose's proxy takes them as user and
password of HTTP Basic. A call is tried again while the server is starting or busy; no message holds
a credential or what the server answered to one.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from db_migration.config import InstanceConfig
from db_migration.errors import BlockedError, ConfigError, UnreachableError

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
HEALTH_SECONDS = 2.5
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
Json = dict[str, Any]


class _BusyError(Exception):
    """The server did not answer, or not now; says why without what was sent."""


@dataclass(frozen=True)
class Connection:
    """A connection as the scheduler sees it."""

    id: str
    name: str
    status: str
    schedule_type: str
    schedule_data: Json

    @classmethod
    def read(cls, found: Json) -> Connection:
        """Read what the API says; without a schedule a connection is manual."""
        return cls(
            id=found["connectionId"],
            name=found.get("name") or "",
            status=found["status"],
            schedule_type=found.get("scheduleType") or "manual",
            schedule_data=found.get("scheduleData") or {},
        )


class AirbyteApi:
    """One Airbyte; `with AirbyteApi(instance) as api:`."""

    def __init__(
        self,
        instance: InstanceConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Take an instance with a `url`; nothing is sent yet. `transport` is for tests."""
        if not instance.url:
            raise ConfigError(instance.name, [f"`{instance.name}` has no `url`"])
        self._instance = instance
        self._patience = patience
        self._token = ""
        self._http = httpx.Client(
            base_url=str(instance.url).rstrip("/"),
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> AirbyteApi:
        """Connections are kept open for the length of the `with`."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close them."""
        self._http.close()

    def health(self) -> bool | None:
        """Tell, after one try, whether the server is healthy; None when nothing answers at all.

        Airbyte's health is that of its database, too.
        """
        try:
            headers = {"Authorization": self._basic()} if self._compose else {}
            answer = self._http.get("/api/v1/health", headers=headers, timeout=HEALTH_SECONDS)
        except httpx.HTTPError:
            return None
        try:
            return answer.is_success and answer.json().get("available") is True
        except (ValueError, AttributeError):
            return False

    def version(self) -> str:
        """Return the application's version; empty when the server does not say it."""
        try:
            answer = self._http.get("/api/v1/instance_configuration")
            return str(answer.json().get("version") or "") if answer.is_success else ""
        except (httpx.HTTPError, ValueError, AttributeError):
            return ""

    def workspaces(self) -> list[str]:
        """List the workspaces' ids."""
        found = self._post("workspaces/list", {})["workspaces"]
        return [workspace["workspaceId"] for workspace in found]

    def connections(self) -> list[Connection]:
        """List the connections of all workspaces."""
        return [
            Connection.read(found)
            for workspace in self.workspaces()
            for found in self._post("connections/list", {"workspaceId": workspace})["connections"]
        ]

    def connection(self, connection_id: str) -> Connection:
        """Read one connection."""
        return Connection.read(self._post("connections/get", {"connectionId": connection_id}))

    def touch(self, connection_id: str) -> None:
        """Update a connection with nothing: Airbyte starts its workflow if there is none."""
        self._post("connections/update", {"connectionId": connection_id})

    def cancel(self, job: int) -> None:
        """End a job."""
        self._post("jobs/cancel", {"id": job})

    def _post(self, path: str, body: Json) -> Json:
        """Call, again and again while the server is busy; a token that has run out is renewed."""
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(_BusyError),
                stop=stop_after_delay(self._patience),
                wait=wait_exponential(multiplier=0.1, max=2),
                reraise=True,
            ):
                with attempt:
                    return self._once(path, body)
        except _BusyError as error:
            raise UnreachableError(
                found=f"{self._instance.name} at {self._instance.url} does not answer "
                f"`{path}`: {error}",
                needed="Airbyte's API",
                way_out=f"look at the server on host {self._instance.host}: `hostctl status`",
            ) from None
        raise AssertionError(path)

    def _once(self, path: str, body: Json) -> Json:
        with _busy():
            headers = {"Authorization": self._login()}
            answer = self._http.post(f"/api/v1/{path}", json=body, headers=headers)
        if answer.status_code in {401, 403}:
            self._token = ""
            msg = f"{answer.status_code} for our login"
            raise _BusyError(msg)
        return self._read(path, answer)

    def _login(self) -> str:
        """Return the header; compose's proxy may be open to everybody (facts 1.3)."""
        if self._compose:
            return self._basic()
        self._token = self._token or self._new_token()
        return f"Bearer {self._token}"

    @property
    def _compose(self) -> bool:
        return self._instance.kind == "compose"

    def _basic(self) -> str:
        login = f"{self._instance.client_id or ''}:{_secret(self._instance)}"
        return f"Basic {b64encode(login.encode()).decode()}"

    def _new_token(self) -> str:
        path = "applications/token"
        login = {
            "client_id": self._instance.client_id,
            "client_secret": _secret(self._instance),
            "grant-type": "client_credentials",
        }
        with _busy():
            answer = self._http.post(f"/api/v1/{path}", json=login)
        if answer.status_code in {400, 401, 403}:
            raise BlockedError(
                found=f"{self._instance.name} refuses client `{self._instance.client_id}` "
                f"({answer.status_code})",
                needed="the client id and secret that its `airbyte-auth-secrets` hold",
                way_out="compare `client_secret_file` with that Secret; `pulumi up` writes both",
            )
        return str(self._read(path, answer)["access_token"])

    def _read(self, path: str, answer: httpx.Response) -> Json:
        if answer.status_code in BUSY:
            msg = f"HTTP {answer.status_code}"
            raise _BusyError(msg)
        if not answer.is_success:
            raise BlockedError(
                found=f"{self._instance.name} answers `{path}` with HTTP {answer.status_code}",
                needed="HTTP 200",
                way_out="read the log of its server: the request is not one that it accepts",
            )
        try:
            found = answer.json()
        except ValueError:
            msg = "an answer that is not JSON"
            raise _BusyError(msg) from None
        return dict(found)


@contextmanager
def _busy() -> Iterator[None]:
    """Turn every kind of silence into one; httpx's own text may quote the address only."""
    try:
        yield
    except httpx.HTTPError as error:
        raise _BusyError(type(error).__name__) from None


def _secret(instance: InstanceConfig) -> str:
    path = instance.client_secret_file
    try:
        return path.read_text().rstrip("\n") if path is not None else ""
    except OSError as error:
        problem = f"client secret of `{instance.name}` must be readable: {error.strerror}"
        raise ConfigError(str(path), [problem]) from None


def cancel_job(instance: InstanceConfig, job: int) -> None:
    """Have an Airbyte end a job; raises ConfigError when no address of its API is configured."""
    with AirbyteApi(instance) as api:
        api.cancel(job)
