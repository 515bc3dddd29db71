"""A process that starts agents in snapshot mode and kills each at the side effect it is told.

Run as ``python -m tests.support.killed_snapshot CONFIG SERVER``; requests and answers as in
`tests.support.killed_agent`. The action `copy` ends after one copy, `copies` never does. Prod
writes between any two steps, so that there is always something to copy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from db_migration.agent.agent import Agent
from db_migration.context import Context
from db_migration.snapshots import look as snapshot_look
from db_migration.snapshots import plan as snapshot_plan
from tests.support.fix_postgres import PgServer
from tests.support.killed_agent import context, serve

MOVE = """
BEGIN;
UPDATE account SET balance = balance + CASE id WHEN 1 THEN 5 ELSE -5 END WHERE id IN (1, 2);
INSERT INTO entry (account, change) VALUES (1, 5), (2, -5);
COMMIT
"""


def main() -> None:
    path, server = Path(sys.argv[1]), PgServer(**json.loads(sys.argv[2]))
    serve(lambda action: act(action, context(path, server), server))


def act(action: str, found: Context, server: PgServer) -> None:
    snapshot_plan.BUSY = 0
    agent = Agent(found)
    agent.journal.open()
    before = newest(agent)
    while action == "copies" or newest(agent) == before or shadow(agent):
        server.sql(MOVE, database="airbyte")
        agent.once()


def newest(agent: Agent) -> str:
    with agent.context.control.connect() as connection:
        runs = snapshot_look.history(connection, agent.name)
    return str(runs[0]["taken_at"]) if runs else ""


def shadow(agent: Agent) -> bool:
    with agent.context.control.connect() as connection:
        query = "SELECT FROM pg_database WHERE datname = %s"
        found = connection.execute(query, (agent.context.seed_name,)).fetchone()
    return found is not None


if __name__ == "__main__":
    main()
