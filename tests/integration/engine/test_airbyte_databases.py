"""What Pulumi declares on a database server: complete, and left alone by a promotion and after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db_migration.agent.state import Mark
from db_migration.config import Config
from db_migration.following import marks
from db_migration.sides import admission, promotion
from tests.integration.engine.conftest import Project
from tests.support import scenario
from tests.support.fix_postgres import PgServer, drop_everything

pytestmark = pytest.mark.long

INSTANCES = ["airbyte_prod", "airbyte_replica"]
PROGRAM = """
import sys
sys.path.insert(0, {root!r})
import pulumi
import pulumi_postgresql
from components import airbyte_databases

class Server(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("toy:index:Server", "server")
        provider = pulumi_postgresql.Provider(
            "postgresql", host={host!r}, port={port}, username={user!r},
            password=pulumi.Output.secret({password!r}), sslmode="disable",
        )
        passwords = airbyte_databases.Passwords(airbyte={airbyte!r}, migration={migration!r})
        airbyte_databases.declare("server", passwords, parent=self, provider=provider)
        self.register_outputs({{}})

Server()
"""
CATALOGS = {
    "roles": "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, "
    "rolreplication, rolbypassrls, rolconfig FROM pg_roles WHERE rolname ~ '^airbyte' ORDER BY 1",
    # Whether a member may SET ROLE is left out: the provider grants it always.
    "memberships": "SELECT member::regrole::text, roleid::regrole::text, inherit_option "
    "FROM pg_auth_members WHERE member::regrole::text ~ '^airbyte' ORDER BY 1, 2",
    "databases": "SELECT datname, datdba::regrole::text, datacl::text, datallowconn "
    "FROM pg_database WHERE datname ~ '^(airbyte|temporal)' ORDER BY 1",
}


@pytest.fixture
def declared(project: Project, pg17: PgServer) -> Iterator[Project]:
    """The program's own declaration, up on an empty server."""
    root = str(Path(__file__).parents[3])
    where = {"host": pg17.host, "port": pg17.port, "user": pg17.user, "password": pg17.password}
    project.program(PROGRAM.format(root=root, **where, **scenario.PASSWORDS))
    project.up()
    yield project
    project.pulumi("state", "unprotect", "--all", "--yes")
    drop_everything(pg17)


def catalogs(server: PgServer) -> dict[str, list[Any]]:
    return {what: server.sql(query) for what, query in CATALOGS.items()}


def server_config(server: PgServer, folder: Path) -> Config:
    """The script's configuration, with this as its one server."""
    password = folder / "migration"
    password.write_text(scenario.PASSWORDS["migration"])
    login = {"user": "airbyte_migration", "password_file": str(password), "sslmode": "disable"}
    address = {"host": server.host, "port": server.port}
    return Config.model_validate(
        {
            "deployment": "test",
            "control": {**address, **login},
            "feeds": [],
            "servers": [{"name": "intermediary", **address, **login}],
            "instances": [
                {"name": role.replace("_", "-"), "kind": "abctl", "host": "prod", "role": role}
                for role in INSTANCES
            ],
            "initial": {"database": "prod", "airbyte": "airbyte-prod"},
        }
    )


def test_it_is_what_the_scripts_own_list_says_and_lets_nobody_in(
    declared: Project, pg17: PgServer
) -> None:
    del declared
    ours = catalogs(pg17)
    query = (
        "SELECT rolname, datname FROM pg_roles, pg_database WHERE rolname = ANY(%s) "
        "AND datname ~ '^(airbyte|temporal)' "
        "AND has_database_privilege(rolname, datname, 'CONNECT')"
    )
    assert pg17.sql(query, INSTANCES) == []
    drop_everything(pg17)
    scenario.set_up_server(pg17)
    assert ours == catalogs(pg17)


def test_a_promotion_and_an_admission_are_no_drift_and_are_not_undone(
    declared: Project, pg17: PgServer, tmp_path: Path
) -> None:
    declared.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    config = server_config(pg17, tmp_path)
    with pg17.connect() as connection:
        marks.write_mirror(connection, "airbyte_mirror", Mark(lsn="0/0", tables={}, types=""))
    promotion.promote(config, "intermediary", 1, "cut-over")
    admission.admit(config.servers[0], INSTANCES, "airbyte_prod")
    after = catalogs(pg17)
    assert "airbyte_before_cut_over_1" in str(after["databases"])

    declared.pulumi("preview", "--expect-no-changes")
    declared.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    declared.up("--expect-no-changes")

    assert catalogs(pg17) == after


def test_a_fence_stays_up(declared: Project, pg17: PgServer) -> None:
    pg17.sql("ALTER DATABASE airbyte CONNECTION LIMIT 0")
    pg17.sql("ALTER ROLE airbyte_prod NOLOGIN")
    declared.up("--refresh")
    query = "SELECT datconnlimit FROM pg_database WHERE datname = 'airbyte'"
    assert pg17.sql(query) == [(0,)]
    query = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'airbyte_prod'"
    assert pg17.sql(query) == [(False,)]
