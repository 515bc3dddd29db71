"""An installation of the stand-in for tests of its scheduler: world, Temporal, server, worker."""

from __future__ import annotations

from typing import Any

from tests.conformance.harness import Airbyte, Process, call, eventually

SETTLE = 5
FEW_ROWS = {"jobs": 0, "payload_bytes": 1}


class Installation:
    """World, Temporal, server, worker, and a few seeded connections."""

    def __init__(
        self, airbyte: Airbyte, *, connections: int = 1, interval: int = 1, secrets: int = 0
    ) -> None:
        self.airbyte = airbyte
        self.world = airbyte.world()
        self.temporal = airbyte.temporal()
        self.server = airbyte.server()
        body = {"connections": connections, "interval_minutes": interval, "secrets": secrets}
        self.seeded = call(f"{self.server.url}/lab/seed", body | FEW_ROWS)

    def connection(self) -> str:
        name = "Connection 000%"
        return str(self.airbyte.one("SELECT id FROM connection WHERE name LIKE %s", [name]))

    def source(self) -> str:
        return str(self.airbyte.one("SELECT source_id FROM connection LIMIT 1"))

    def syncs(self, status: str = "succeeded") -> int:
        query = "SELECT count(*) FROM jobs WHERE config_type = 'sync' AND status::text = %s"
        return int(self.airbyte.one(query, [status]))

    def grow(self, to: int) -> None:
        call(f"{self.world.url}/source/{self.source()}/grow", {"to": to})

    def pace(self, records: int, seconds: float) -> None:
        body = {"records": records, "seconds": seconds}
        call(f"{self.world.url}/source/{self.source()}/pace", body)

    def verdict(self) -> dict[str, Any]:
        return call(f"{self.world.url}/ledger/verdict")

    def update(self, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        body = {"connectionId": self.connection()} | body
        return call(f"{self.server.url}/api/v1/connections/update", body)

    def workflows(self) -> list[dict[str, Any]]:
        return list(call(f"{self.temporal.url}/workflows")["executions"])


def cursor(airbyte: Airbyte) -> int:
    return int(airbyte.one("SELECT (state->>'cursor')::int FROM state WHERE stream_name='records'"))


def polls(worker: Process, airbyte: Airbyte, turns: int = SETTLE) -> None:
    """Wait until the worker has looked at its workflows a few times."""
    assert worker.popen.poll() is None, worker.text()
    start = airbyte.one("SELECT clock_timestamp()")
    eventually(
        lambda: airbyte.one("SELECT extract(epoch FROM clock_timestamp() - %s) > %s",
                            [start, turns * 0.2]),
        "polls",
    )  # fmt: skip
