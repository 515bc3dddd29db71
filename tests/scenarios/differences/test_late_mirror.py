"""A mirror that does not follow: for how long it is waited for, and what is said of it."""

from __future__ import annotations

import pytest

from db_migration.errors import BlockedError
from db_migration.following import worker
from db_migration.postgres import Connection
from db_migration.verification import settle as verify_settle
from db_migration.verification import verify
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import SLOT, Scenario


def test_mirror_that_does_not_follow_is_an_error(followed: Scenario) -> None:
    """In either strength, and for the exact one before anything is locked."""
    alter = f"ALTER SUBSCRIPTION {SLOT} {{}}"
    followed.target.sql(alter.format("DISABLE"), database="airbyte_mirror")
    followed.source.sql("UPDATE jobs SET scope = 'moved'", database="airbyte")
    followed.settings["catch_up_seconds"] = 1
    try:
        for options in ((), ("--exact",)):
            found = followed.cli("verify", *options)
            assert found.returncode == 3
            assert "has not reached" in found.stderr
    finally:
        del followed.settings["catch_up_seconds"]
        followed.target.sql(alter.format("ENABLE"), database="airbyte_mirror")


def test_mirror_without_a_worker_is_not_waited_for_as_long_as_one_that_is_late(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails at each start has a worker for a moment, again and again."""
    monkeypatch.setattr(verify_settle, "WORKERLESS_SECONDS", 2.0)
    monkeypatch.setitem(followed.settings, "catch_up_seconds", timeouts.FOLLOW)
    row = "INSERT INTO jobs (id, scope, status) VALUES (900000, 'of both', 'pending')"
    followed.target.sql(row, database="airbyte_mirror")
    followed.source.sql(row, database="airbyte")
    try:
        for verified in (verify.verify, verify.verify_exactly):
            followed.source.sql("UPDATE jobs SET scope = 'unseen'", database="airbyte")
            with pytest.raises(BlockedError, match="its subscription has had no worker for"):
                verified(followed.context())
    finally:
        followed.target.sql("DELETE FROM jobs WHERE id = 900000", database="airbyte_mirror")
    followed.assert_equal()


def test_worker_that_is_held_up_is_waited_for(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is late, but there: only the deadline counts."""
    monkeypatch.setattr(verify_settle, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(verify_settle, "WORKERLESS_SECONDS", 0.5)
    monkeypatch.setitem(followed.settings, "catch_up_seconds", timeouts.FOLLOW)
    works, looks = worker.works, 0
    with followed.target.connect("airbyte_mirror") as mirror:
        wait_for(lambda: works(mirror, SLOT), timeouts.FOLLOW)
        mirror.execute("BEGIN; LOCK jobs IN EXCLUSIVE MODE")

        def look(connection: Connection, subscription: str) -> bool:
            nonlocal looks
            looks += 1
            if looks == 20:
                mirror.rollback()
            return works(connection, subscription)

        monkeypatch.setattr(worker, "works", look)
        followed.source.sql("UPDATE jobs SET scope = 'at last'", database="airbyte")
        assert verify.verify(followed.context()).differences == []
    assert looks >= 20


def test_worker_that_restarts_within_seconds_is_waited_for(followed: Scenario) -> None:
    followed.target.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_subscription")
    followed.source.sql("UPDATE jobs SET scope = 'meanwhile'", database="airbyte")
    assert verify.verify(followed.context()).differences == []
