"""The promise of v2: when any one host dies, an up-to-date Airbyte is there to use.

Each host dies in its turn while it is the one that matters, and is repaired before the next one.
"""

from __future__ import annotations

import re
import time

import pytest

from lab.demo.places import ABCTL, REPLICA
from tests.integration.main_job.scene import DATABASE_ACCEPTS, STILL_ON_ITS_WAY, Death, Scene

AIRBYTE_DIED = "The host of prod"
DATABASE_DIED = "The host of prod's database (the intermediary)"
DEATHS = [
    Death(
        host="prod",
        section=AIRBYTE_DIED,
        commander="core-worker-01",
        airbyte=REPLICA,
        database="intermediary",
        database_died=False,
    ),
    Death(
        host="intermediary",
        section=DATABASE_DIED,
        commander="core-worker-01",
        airbyte=REPLICA,
        database="core-worker-01",
        database_died=True,
    ),
    Death(
        host="core-worker-01",
        section=DATABASE_DIED,
        commander="replica",
        airbyte=REPLICA,
        database="intermediary",
        database_died=True,
    ),
    Death(
        host="replica",
        section=AIRBYTE_DIED,
        commander="core-worker-01",
        airbyte=ABCTL,
        database="intermediary",
        database_died=False,
    ),
]


def first_write_of_the_database(said: str) -> float:
    """Read from the report the seconds from the command to the first write."""
    found = re.search(r"accepted by the database: ([0-9.]+) s after the command", said)
    assert found, said
    return float(found[1])


@pytest.mark.parametrize("death", DEATHS, ids=str)
def test_a_host_dies_another_side_takes_over_and_the_host_is_repaired(
    scene: Scene, death: Death
) -> None:
    killed = scene.kill(death.host)
    looked, done = scene.follow("failover", death.section, death)
    assert "decision: " in looked
    assert first_write_of_the_database(done) < DATABASE_ACCEPTS
    scene.has_moved(death.airbyte, death.database, killed)

    lost = scene.newly_missing(death.database)
    on_their_way = [at for at in lost if death.database_died and at > killed - STILL_ON_ITS_WAY]
    assert lost == on_their_way
    assert scene.unscheduled(death.database) == 0
    ledger = scene.ledger(since=killed)
    assert (ledger.lost, ledger.doubled, ledger.one_writer) == (0, 0, True), ledger
    scene.preview_of_a_dead_host(death.host)

    returned = time.time()
    scene.start(death.host)
    scene.repair()

    assert scene.unscheduled(death.database) == 0
    assert scene.ledger(since=returned).writers == [ledger.writers[-1]]
    assert scene.newly_missing(death.database) == []


def test_prod_goes_home_as_planned(scene: Scene) -> None:
    """The fifth death only leads away from home."""
    death = DEATHS[0]
    killed = scene.kill(death.host)
    scene.follow("failover", death.section, death)
    scene.has_moved(death.airbyte, death.database, killed)
    scene.start(death.host)
    scene.repair()

    began = time.time()
    _, looked = scene.follow("failback", "Look")
    assert "decision: failback" in looked
    scene.follow("failback", "Go")
    scene.has_moved(ABCTL, "intermediary", began)
    scene.follow("failback", "Afterwards")
    scene.until_redundant()
    assert scene.newly_missing("intermediary") == []
    assert scene.unscheduled("intermediary") == 0
    ledger = scene.ledger(since=began)
    assert (ledger.lost, ledger.doubled, ledger.one_writer) == (0, 0, True), ledger


def test_a_second_failover_does_no_harm(scene: Scene) -> None:
    active = scene.follower.active
    assert active is not None
    scene.script("core-worker-01", "failover", ok=False)
    assert scene.follower.active == active
    assert scene.newly_missing(active.database) == []


def test_refresh_proposes_nothing_after_all_of_it(scene: Scene) -> None:
    assert scene.deployment.refresh("v2") == {}
    scene.preview_proposes_nothing()
