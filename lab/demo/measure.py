"""What the demo measures from outside the hosts, over HTTP and the servers' PostgreSQL."""

import base64
import json
import statistics
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import LiteralString

from lab.demo.places import AIRBYTES, COMPOSE, WORLD, Credentials
from lab.load_verdict import ROWS

COPY = "core-worker-01"
MIRROR = "airbyte_mirror"
LAG_DEADLINE_SECONDS = 30.0
FOUND_DEADLINE_SECONDS = 60.0
ACTIVE: LiteralString = "SELECT id::text FROM connection WHERE status = 'active'"
WORKFLOWS: LiteralString = "SELECT workflow_id FROM current_executions WHERE status = 'Running'"
PREFIX = "connection_manager_"


def post(path: str, body: Mapping[str, object], password: str) -> dict[str, object]:
    """POST JSON to Compose's public port as a user of prod would, and return the answer."""
    token = base64.b64encode(f"airbyte:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310  (http on loopback)
        f"{AIRBYTES[COMPOSE]}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        parsed: dict[str, object] = json.loads(answer.read())
        return parsed


@dataclass(frozen=True, kw_only=True)
class Lag:
    """Milliseconds from prod's acknowledgement of a write to its row being seen on the copy."""

    samples: int
    median_ms: float
    worst_ms: float


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """Active connections, and how many of them have a workflow that runs."""

    active: int
    scheduled: int


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What the destinations received, as the outside world judges it."""

    records: int
    lost: int
    doubled: int
    repeated: int
    """Written again by the next run, since the cursor behind them was not committed."""
    one_writer: bool
    writers: list[str]
    """In the order of their periods."""


def feed_lag(secrets: Credentials, samples: int) -> Lag:
    """Write `samples` rows through prod's API and watch each arrive on the copy.

    The poll asks the copy about 500 times a second, so a figure is good to about 2 ms plus one
    round trip. Raises TimeoutError when a row does not arrive within LAG_DEADLINE_SECONDS.
    """
    seen: list[float] = []
    with secrets.connect(COPY, MIRROR) as copy:
        for _ in range(samples):
            wanted = post("/lab/write", {"n": 1, "payload": "lag"}, secrets.prod_basic_auth)["id"]
            started = time.monotonic()
            while not copy.execute("SELECT 1 FROM jobs WHERE id = %s", (wanted,)).fetchone():
                if time.monotonic() - started > LAG_DEADLINE_SECONDS:
                    message = f"job {wanted} did not reach the copy in {LAG_DEADLINE_SECONDS:.0f} s"
                    raise TimeoutError(message)
            seen.append((time.monotonic() - started) * 1000)
    return Lag(samples=samples, median_ms=statistics.median(seen), worst_ms=max(seen))


def missing_on_copy(ids: Iterable[int], secrets: Credentials) -> int:
    """Count the acknowledged ids that the copy lacks, after at most FOUND_DEADLINE_SECONDS."""
    wanted = sorted(set(ids))
    deadline = time.monotonic() + FOUND_DEADLINE_SECONDS
    with secrets.connect(COPY, MIRROR) as copy:
        while True:
            row = copy.execute(
                "SELECT count(*) FROM unnest(%s::bigint[]) AS wanted(id) "
                "LEFT JOIN jobs USING (id) WHERE jobs.id IS NULL",
                (wanted,),
            ).fetchone()
            missing = int(str(row[0])) if row else len(wanted)
            if missing == 0 or time.monotonic() > deadline:
                return missing


def rows(secrets: Credentials, server: str) -> list[tuple[int, int]]:
    """Read what the load's writes left in the active database: pairs of id and number."""
    with secrets.connect(server, "airbyte") as database:
        return [(int(str(one)), int(str(two))) for one, two in database.execute(ROWS)]


def scheduled(secrets: Credentials, server: str) -> Scheduled:
    """Count the active connections, and those whose workflow runs in Temporal's store."""
    with secrets.connect(server, "airbyte") as database:
        active = {str(row[0]) for row in database.execute(ACTIVE)}
    with secrets.connect(server, "temporal") as store:
        running = {str(row[0]).removeprefix(PREFIX) for row in store.execute(WORKFLOWS)}
    return Scheduled(active=len(active), scheduled=len(active & running))


def ledger(since: float = 0.0) -> Ledger:
    """Ask the outside world what the destinations received, and from whom since a moment."""
    with urllib.request.urlopen(f"{WORLD}/ledger/verdict?since={since}", timeout=30) as answer:  # noqa: S310  (http on loopback)
        found = json.loads(answer.read())
    return Ledger(
        records=found["records"],
        lost=found["lost"],
        doubled=found["doubled"],
        repeated=found["repeated"],
        one_writer=found["one_writer"],
        writers=[period["writer"] for period in found["writing"]["periods"]],
    )
