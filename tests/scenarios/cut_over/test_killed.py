"""SIGKILL before and after every side effect of the cut-over, and of the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from db_migration.cutover.cutover import Mode
from db_migration.effects import Effect
from tests.support.deployment import INTERMEDIARY, KEEPER, Deployment
from tests.support.fix_postgres import wait_for
from tests.support.killed_agent import lives
from tests.support.timeouts import FOLLOW

FORWARDS = (
    Effect.OPEN_JOURNAL,
    Effect.SAVE_INTENT,
    Effect.WRITE_JOURNAL,
    Effect.PAUSE_FEED,
    Effect.FENCE_COMPOSE,
    Effect.ADVANCE_SEQUENCES,
    Effect.LET_GO,
    Effect.DROP_SLOT,
    Effect.CLOSE_PROD,
    Effect.SET_SEQUENCES,
    Effect.CLOSE_DATABASES,
    Effect.RENAME_DATABASES,
    Effect.MAKE_MIRROR,
    Effect.OPEN_PROMOTED,
    Effect.PUBLISH,
    Effect.CREATE_SLOT,
    Effect.HAND_OVER,
    Effect.CREATE_SUBSCRIPTION,
    Effect.ENABLE_SUBSCRIPTION,
    Effect.ADVANCE_EPOCH,
    Effect.RESUME_FEED,
    Effect.ADMIT,
    Effect.ACTIVATE,
    Effect.PROVE,
    Effect.SAVE_REPORT,
)
BACK = (
    Effect.SAVE_INTENT,
    Effect.PAUSE_FEED,
    Effect.SHUT_OUT,
    Effect.OPEN_PROD,
    Effect.ADVANCE_EPOCH,
    Effect.START_COMPOSE,
    Effect.DEACTIVATE,
    Effect.MAKE_MIRROR,
    Effect.RESUME_FEED,
)
TAKEN_BACK = (
    Effect.LET_GO,
    Effect.CLOSE_PROD,
    Effect.CLOSE_DATABASES,
    Effect.RENAME_DATABASES,
    Effect.HAND_OVER,
    Effect.ENABLE_SUBSCRIPTION,
    Effect.ADVANCE_EPOCH,
    Effect.ADMIT,
)

Run = Callable[..., None]


@pytest.fixture
def cut_over(deployment: Deployment) -> Iterator[Run]:
    """Return what runs a cut-over in a process of its own, killed at an effect or to its end."""
    servers = (deployment.prod, deployment.intermediary, deployment.keeper)
    arguments = [str(deployment.folder), *(server.dump() for server in servers)]
    log = deployment.folder / "cut-over.log"
    with lives("tests.support.killed_cutover", *arguments, log_file=log) as life:

        def run(effect: Effect | None = None, when: str = "", mode: Mode = Mode.GO) -> None:
            life(mode, effect, when)

        yield run


def test_forwards(following: Deployment, cut_over: Run) -> None:
    for effect in FORWARDS:
        for when in ("before", "after"):
            cut_over(effect, when)
    cut_over()
    wait_for(lambda: len(following.acknowledged("abctl")) > 10, FOLLOW)
    following.until_state("following", f"{INTERMEDIARY}-to-{KEEPER}")
    following.end()
    ids = {i for (i,) in following.intermediary.sql("SELECT id FROM jobs", database="airbyte")}
    assert set(following.acknowledged("compose")) <= ids
    assert set(following.acknowledged("abctl")) <= ids
    assert not (following.folder / "compose.runs").exists()


def test_wal_that_prod_writes_by_itself_does_not_stop_a_later_life(
    following: Deployment, cut_over: Run
) -> None:
    """A slot without its subscription stands still, while the server's own records go on."""
    cut_over(Effect.LET_GO, "after")
    following.prod.sql("SELECT pg_logical_emit_message(false, 'x', 'y'), pg_switch_wal()")
    following.prod.sql("CHECKPOINT")
    cut_over()
    wait_for(lambda: len(following.acknowledged("abctl")) > 10, FOLLOW)


@pytest.mark.long
def test_taken_back_from_anywhere(following: Deployment, cut_over: Run) -> None:
    """What compose writes afterwards is followed, and a later cut-over brings all of it."""
    for effect in TAKEN_BACK:
        cut_over(effect, "after")
        cut_over(mode=Mode.ABORT)
        before = len(following.acknowledged("compose"))
        wait_for(lambda before=before: len(following.acknowledged("compose")) > before + 5, FOLLOW)  # type: ignore[misc]
        following.until_following()
    cut_over()
    wait_for(lambda: len(following.acknowledged("abctl")) > 10, FOLLOW)
    following.end()
    ids = {i for (i,) in following.intermediary.sql("SELECT id FROM jobs", database="airbyte")}
    assert set(following.acknowledged("compose")) | set(following.acknowledged("abctl")) <= ids


def test_back(following: Deployment, cut_over: Run) -> None:
    """Killed just before the new Airbyte is started, then taken back with a death at every step."""
    cut_over(Effect.ACTIVATE, "before")
    for effect in BACK:
        for when in ("before", "after"):
            cut_over(effect, when, mode=Mode.ABORT)
    cut_over(mode=Mode.ABORT)
    before = len(following.acknowledged("compose"))
    wait_for(lambda: len(following.acknowledged("compose")) > before + 10, FOLLOW)
    following.until_following()
    cut_over()
    wait_for(lambda: len(following.acknowledged("abctl")) > 10, FOLLOW)
    following.end()
    ids = {i for (i,) in following.intermediary.sql("SELECT id FROM jobs", database="airbyte")}
    assert set(following.acknowledged("compose")) <= ids
