"""What is looked at beside a copy ends it for one reason only."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from db_migration.config_access import Login
from db_migration.context import Context
from db_migration.postgres import Endpoint
from db_migration.seeding import kept


def test_a_password_file_that_is_being_rotated_ends_no_copy(tmp_path: Path) -> None:
    """The crew's reporter would end on it, and leave its workers to write on alone."""
    rotated = tmp_path / "password"
    rotated.touch()
    login = Login(user="reader", password_file=rotated)
    reader = Endpoint("source", "127.0.0.1", 1, "airbyte", "disable", login)
    kept.watch(cast("Context", SimpleNamespace(reader=reader)))
