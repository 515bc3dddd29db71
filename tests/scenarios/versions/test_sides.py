"""Prod moves between servers of other versions, to a newer one and back to an older one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db_migration.sides.epoch import Epoch
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, Deployment
from tests.support.fix_postgres import PgServer, drop_everything, wait_for
from tests.support.timeouts import FOLLOW

VERSIONS = ((13, 16, 17), (14, 17, 16), (16, 17, 16))
"""Of prod's server, of the intermediary and of core-worker-01, whose feed goes from the one to the
other after a cut-over and the other way after a failover. 13, 17 and 17 are all other scenarios'.
"""
BOTH_OF_OURS = ((16, 17), (17, 16))
Servers = tuple[PgServer, PgServer, PgServer]
ServerOf = Callable[[int, str], PgServer]


def of(server_of: ServerOf, prod: int, intermediary: int, keeper: int) -> Iterator[Servers]:
    found = (
        server_of(prod, "docker"),
        server_of(intermediary, "postgres"),
        server_of(keeper, "postgres"),
    )
    yield found
    for server in found[1:]:  # a subscription left there would take the next world's slots
        drop_everything(server)


@pytest.fixture(params=VERSIONS, ids="{0[0]}-{0[1]}-{0[2]}".format)
def following(
    request: pytest.FixtureRequest, server_of: ServerOf, tmp_path: Path
) -> Iterator[Deployment]:
    for prod, intermediary, keeper in of(server_of, *request.param):
        found = Deployment(prod, intermediary, keeper, tmp_path)
        found.reset()
        try:
            found.start_agents()
            found.start_writers()
            found.until_following()
            yield found
        finally:
            found.end()


@pytest.fixture(params=BOTH_OF_OURS, ids="{0[0]}-{0[1]}".format)
def v2(request: pytest.FixtureRequest, server_of: ServerOf, tmp_path: Path) -> Iterator[CrashWorld]:
    for prod, intermediary, keeper in of(server_of, 13, *request.param):
        found = CrashWorld(prod, intermediary, keeper, tmp_path)
        try:
            found.start_v2()
            found.until_written()
            yield found
        finally:
            found.end()


def test_cut_over(following: Deployment) -> None:
    assert following.cut_over()["state"] == "done"
    wait_for(lambda: len(following.acknowledged("abctl")) > 50, FOLLOW)
    following.until_state("following", f"{INTERMEDIARY}-to-{KEEPER}")
    following.end()
    before, after = following.acknowledged("compose"), following.acknowledged("abctl")
    ids = {i for (i,) in following.intermediary.sql("SELECT id FROM jobs", database="airbyte")}
    assert set(before) | set(after) <= ids
    assert min(after) > max(before)
    following.until_equal((following.intermediary, "airbyte"), (following.keeper, "airbyte_mirror"))


def test_away_and_home_again(v2: CrashWorld) -> None:
    v2.until_caught_up()
    v2.kill(INTERMEDIARY)
    v2.failover()
    v2.bring_back(INTERMEDIARY)
    v2.rebuild()
    v2.keeper.sql("UPDATE jobs SET status = 'succeeded'", database="airbyte")
    v2.until_written()
    v2.failback().run()
    v2.assert_lives(v2.intermediary, Epoch(3, INTERMEDIARY, NEW, "failback"))
    v2.rebuild()
    v2.until_equal((v2.intermediary, "airbyte"), (v2.keeper, "airbyte_mirror"))
