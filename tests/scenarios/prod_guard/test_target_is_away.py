"""An agent that starts while its target's server is away: nobody tells it who is active."""

from __future__ import annotations

from typing import Any

from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.context import Context
from db_migration.reporting import status
from tests.support import timeouts
from tests.support.deployment import KEEPER, Deployment
from tests.support.fix_postgres import wait_for

FEED = f"prod-to-{KEEPER}"
LIMIT = 32 * 1024**2
SLOTS = "SELECT FROM pg_replication_slots"


def new_agent(deployment: Deployment) -> Agent:
    config = deployment.config()
    (feed,) = (feed for feed in config.feeds if feed.name == FEED)
    bounded = feed.model_copy(update={"max_retained_wal_bytes": LIMIT})
    return Agent(Context(config, bounded, instance_host=deployment.host))


def of_agent(agent: Agent) -> dict[str, Any]:
    return agent.board.entries()[agent.name].state


def of_both(agent: Agent) -> list[dict[str, Any]]:
    """Return what the agent says, and what `status` can say while the journal is away."""
    found = status.read(agent.context.config)["feeds"]
    return [of_agent(agent), *(feed for feed in found if feed["name"] == FEED)]


def converge(deployment: Deployment) -> None:
    agent = new_agent(deployment)

    def follows() -> bool:
        return agent.once() is Step.WAIT and of_agent(agent)["state"] == "following"

    wait_for(follows, timeouts.CONVERGE)


def test_its_slot_is_watched_and_nothing_else_is_done(deployment: Deployment) -> None:
    prod = deployment.prod
    converge(deployment)
    deployment.keeper.kill()
    agent = new_agent(deployment)
    assert agent.once() is Step.WAIT
    for said in of_both(agent):
        assert said["state"] == "broken"
        assert "control database" in said["error"]["found"]
        assert said["slot"]["retained_bytes"] < LIMIT
    assert "the target does not answer" in of_agent(agent)["next"]

    # Whoever knows that prod is active would mend this at once: prod's own DELETE fails.
    prod.sql("ALTER TABLE stream_reset REPLICA IDENTITY NOTHING", database="airbyte")
    assert agent.once() is Step.WAIT
    prod.write_wal(LIMIT)
    assert agent.once() is Step.DROP_SLOT
    assert prod.sql(SLOTS) == []

    prod.kill()
    assert agent.once() is Step.WAIT
    for said in of_both(agent):
        assert "control database" in said["error"]["found"]
        assert (said["slot"], said["source_seen"]) == (None, False)

    prod.start()
    deployment.keeper.start()
    converge(deployment)
    deployment.until_equal((prod, "airbyte"), (deployment.keeper, "airbyte_mirror"))
