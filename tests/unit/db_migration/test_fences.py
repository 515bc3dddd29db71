"""What each fence permits."""

from __future__ import annotations

import pytest

from db_migration.sides.fences import (
    Other,
    against_promotion,
    against_standing_by,
    against_touching,
)
from db_migration.sides.hosts import InstanceStatus, Status

COMPOSE, REPLICA = "airbyte-prod", "airbyte-prod-backup-replica-2"


def compose(state: str | None, **more: bool) -> Other:
    said = Status(host="prod", compose=state) if state is not None else None
    return Other(COMPOSE, "compose", "prod", said, **more)


def replica(
    rendering: str,
    *,
    running: bool = True,
    syncing: bool | None = None,
    active_connections: int = 0,
) -> Other:
    known = InstanceStatus(
        name=REPLICA, epoch=1, rendering=rendering, running=running, syncing=syncing
    )
    said = Status(host="replica", instances=(known,))
    return Other(REPLICA, "abctl", "replica", said, active_connections=active_connections)


HARMLESS = {
    "compose is stopped": compose("stopped"),
    "there is no compose": compose("none"),
    "its host is down, says the operator": compose(None, former=True, down=True),
    "its host is silent, and it was not the last one": compose(None),
    "it stands by": replica("standby-core-worker-01"),
    "it stands by, and runs no worker": replica("standby-core-worker-01", syncing=False),
    "it is stopped": replica("stopped", running=False),
    "it was active and does not run": replica("active-intermediary", running=False),
    "it is prepared": replica("prepared", running=False),
    "it is not installed": Other(REPLICA, "abctl", "replica", Status(host="replica")),
}
SYNCS = {
    "compose runs": (compose("running"), "airbyte-prod runs"),
    "compose runs, whatever the operator says": (
        compose("running", former=True, down=True), "airbyte-prod runs"
    ),
    "its host is silent": (compose(None, former=True), "does not answer"),
    "it runs as active": (replica("active-intermediary"), "runs as `active-intermediary`"),
    "it runs, and nobody knows as what": (replica(""), "runs as ``"),
    "it stands by with workers": (
        replica("standby-core-worker-01", syncing=True), "worker, launcher or cron run"
    ),
    "it stands by on active connections": (
        replica("standby-core-worker-01", active_connections=3), "3 connection(s) are active"
    ),
}  # fmt: skip


@pytest.mark.parametrize("other", HARMLESS.values(), ids=list(HARMLESS))
def test_connections_may_be_touched(other: Other) -> None:
    assert against_touching([other]) == []


@pytest.mark.parametrize(("other", "why"), SYNCS.values(), ids=list(SYNCS))
def test_one_that_may_sync_forbids_to_touch(other: Other, why: str) -> None:
    (found,) = against_touching([*HARMLESS.values(), other])
    assert why in found


def test_nobody_may_enter_what_is_promoted() -> None:
    assert against_promotion([]) == []
    assert against_promotion(["airbyte_replica"]) == ["role airbyte_replica may enter it"]


def test_a_standby_finds_no_active_connection() -> None:
    assert against_standing_by(0) == []
    assert "2 connection(s)" in against_standing_by(2)[0]
