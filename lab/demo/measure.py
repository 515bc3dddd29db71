"""What the demo measures from outside the hosts, over prod's API and the copy's PostgreSQL."""

import base64
import json
import statistics
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from lab.demo.commands import captured

PROD_URL = "http://127.0.0.1:18000"
COPY_HOST, COPY_PORT = "127.0.0.1", 25432
MIRROR = "airbyte_mirror"
LAG_DEADLINE_SECONDS = 30.0
FOUND_DEADLINE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the demo needs to look from outside, read with `pulumi config get`."""

    prod_basic_auth: str
    copy_admin: str


def credentials(stack: str, env: Mapping[str, str]) -> Credentials:
    """Read the lab's passwords from the committed stack file, opened by the lab's passphrase."""

    def secret(key: str) -> str:
        return captured(["pulumi", "config", "get", key, "--stack", stack], env).strip()

    return Credentials(
        prod_basic_auth=secret("prodBasicAuthPassword"),
        copy_admin=secret("coreWorkerAdminPassword"),
    )


def post(path: str, body: Mapping[str, object], password: str) -> dict[str, object]:
    """POST JSON to prod's public port as a user of prod would, and return the answer."""
    token = base64.b64encode(f"airbyte:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310  (PROD_URL is http on loopback)
        f"{PROD_URL}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        parsed: dict[str, object] = json.loads(answer.read())
        return parsed


def copy_connection(password: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect to the mirror on core-worker-01 over TLS."""
    return psycopg.connect(
        host=COPY_HOST,
        port=COPY_PORT,
        dbname=MIRROR,
        user="postgres",
        password=password,
        sslmode="require",
        autocommit=True,
    )


@dataclass(frozen=True, kw_only=True)
class Lag:
    """Milliseconds from prod's acknowledgement of a write to its row being seen on the copy."""

    samples: int
    median_ms: float
    worst_ms: float


def feed_lag(secrets: Credentials, samples: int) -> Lag:
    """Write `samples` rows through prod's API and watch each arrive on the copy.

    The poll asks the copy about 500 times a second, so a figure is good to about 2 ms plus one
    round trip. Raises TimeoutError when a row does not arrive within LAG_DEADLINE_SECONDS.
    """
    seen: list[float] = []
    with copy_connection(secrets.copy_admin) as copy:
        for _ in range(samples):
            wanted = post("/lab/write", {"n": 1, "payload": "lag"}, secrets.prod_basic_auth)["id"]
            started = time.monotonic()
            while not copy.execute("SELECT 1 FROM jobs WHERE id = %s", (wanted,)).fetchone():
                if time.monotonic() - started > LAG_DEADLINE_SECONDS:
                    message = f"job {wanted} did not reach the copy in {LAG_DEADLINE_SECONDS:.0f} s"
                    raise TimeoutError(message)
            seen.append((time.monotonic() - started) * 1000)
    return Lag(samples=samples, median_ms=statistics.median(seen), worst_ms=max(seen))


def acknowledged_ids(path: Path) -> list[int]:
    """Read the ids that prod acknowledged, as the load generator fsynced them."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(json.loads(line)["id"]) for line in lines]


def missing_on_copy(ids: Iterable[int], secrets: Credentials) -> int:
    """Count the acknowledged ids that the copy lacks, after at most FOUND_DEADLINE_SECONDS."""
    wanted = sorted(set(ids))
    deadline = time.monotonic() + FOUND_DEADLINE_SECONDS
    with copy_connection(secrets.copy_admin) as copy:
        while True:
            row = copy.execute(
                "SELECT count(*) FROM unnest(%s::bigint[]) AS wanted(id) "
                "LEFT JOIN jobs USING (id) WHERE jobs.id IS NULL",
                (wanted,),
            ).fetchone()
            missing = int(str(row[0])) if row else len(wanted)
            if missing == 0 or time.monotonic() > deadline:
                return missing
