"""The postgresql plugin under the real engine, against a real PostgreSQL 17."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.engine.conftest import Project
from tests.support.fix_postgres import PgServer, drop_everything

pytestmark = pytest.mark.long

PROGRAM = """
import pulumi
import pulumi_postgresql as pg

server = pg.Provider(
    "server", host={host!r}, port={port}, username={user!r}, sslmode="disable", superuser=True,
    password=pulumi.Output.secret({password!r}),
)
opts = pulumi.ResourceOptions(provider=server)
group = pg.Role("group", name="Group X", opts=opts)
owner = pg.Role(
    "owner", name="own-er", login={login}, password=pulumi.Output.secret({secret!r}),
    roles=[group.name], connection_limit=7, search_paths=["a", "b"], statement_timeout=1000,
    opts={role_opts},
)
reader = pg.Role("reader", login=True, opts=opts)
acting = pg.Role(
    "acting", name="act-ing", login={login}, inherit=False, roles=[owner.name],
    assume_role=owner.name, opts={role_opts},
)
subscriber = pg.Role("subscriber", name="sub", login=True, replication=True,
    roles=[acting.name, owner.name], opts=opts)
database = pg.Database("database", name="Data Base", owner=owner.name, opts=opts)
schema = pg.Schema("schema", name="s x", database=database.name, owner=owner.name, opts=opts)
pg.Extension("extension", name="pgcrypto", database=database.name, opts=opts)
pg.Grant(
    "connect", database=database.name, role=reader.name, object_type="database",
    privileges={privileges}, opts=opts,
)
pg.Grant(
    "shut", database=database.name, role="public", object_type="database", privileges=[], opts=opts,
)
pg.Grant(
    "read", database=database.name, role=reader.name, schema=schema.name, object_type="table",
    privileges=["SELECT"], opts=opts,
)
pg.DefaultPrivileges(
    "later", database=database.name, role=reader.name, owner=owner.name, schema=schema.name,
    object_type="table", privileges=["SELECT"], opts=opts,
)
pg.GrantRole("member", role=owner.name, grant_role=group.name, with_admin_option=True, opts=opts)
pulumi.export("reader", reader.name)
"""


class World:
    """The project's program with some of its values changed."""

    def __init__(self, project: Project, server: PgServer) -> None:
        self.project = project
        self.server = server
        self.values: dict[str, object] = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": server.password,
            "login": True,
            "secret": "planted-first",
            "privileges": ["CONNECT"],
            "role_opts": "opts",
        }

    def write(self, **changed: object) -> None:
        self.values.update(changed)
        self.project.program(PROGRAM.format(**self.values))

    def login(self, password: str) -> None:
        where = {"host": self.server.host, "port": self.server.port, "dbname": "Data Base"}
        psycopg.connect(user="own-er", password=password, **where).close()  # type: ignore[arg-type]


@pytest.fixture
def world(project: Project, pg17: PgServer) -> Iterator[World]:
    made = World(project, pg17)
    made.write()
    yield made
    drop_everything(pg17)  # the project is destroyed after it: what is gone is no error


def test_up_again_and_refresh_find_nothing(world: World, pg17: PgServer) -> None:
    world.project.pulumi("preview")
    world.project.up()
    world.login("planted-first")
    world.project.up("--expect-no-changes")
    world.project.pulumi("refresh", "--yes", "--expect-no-changes")
    world.project.up("--expect-no-changes")
    state = str(world.project.state())
    assert "planted-first" not in state
    assert pg17.password not in state
    reader = world.project.pulumi("stack", "output", "reader").strip()
    query = "SELECT has_database_privilege(%s, 'Data Base', 'CONNECT')"
    assert pg17.sql(query, reader) == [(True,)]
    query = "SELECT rolconnlimit, rolconfig FROM pg_roles WHERE rolname = 'own-er'"
    assert pg17.sql(query) == [(7, ["search_path=a, b", "statement_timeout=1000"])]
    query = "SELECT admin_option FROM pg_auth_members WHERE member = '\"own-er\"'::regrole"
    assert pg17.sql(query) == [(True,)]
    world.project.pulumi("destroy", "--yes", "--skip-preview")
    assert pg17.sql("SELECT FROM pg_roles WHERE rolname IN ('own-er', 'Group X')") == []


def test_a_password_changes_in_place_and_privileges_shrink(world: World, pg17: PgServer) -> None:
    world.write(privileges=["CONNECT", "TEMPORARY"])
    world.project.up()
    world.write(secret="planted-second", privileges=["TEMPORARY"])
    output = world.project.up()
    assert "replaced" not in output
    world.login("planted-second")
    reader = world.project.pulumi("stack", "output", "reader").strip()
    query = "SELECT has_database_privilege(%s, 'Data Base', 'CONNECT')"
    assert pg17.sql(query, reader) == [(False,)]


def test_a_login_acts_as_a_role_whose_rights_it_does_not_have(world: World, pg17: PgServer) -> None:
    """What shuts an Airbyte out: its own login may not connect where the owner may."""
    world.project.up()
    world.project.pulumi("refresh", "--yes", "--expect-no-changes")
    query = "SELECT rolinherit, rolconfig FROM pg_roles WHERE rolname = 'act-ing'"
    assert pg17.sql(query) == [(False, ["role=own-er"])]
    query = (
        "SELECT inherit_option, set_option FROM pg_auth_members "
        "WHERE member = '\"act-ing\"'::regrole"
    )
    assert pg17.sql(query) == [(False, True)]
    query = "SELECT has_database_privilege('act-ing', 'Data Base', 'CONNECT')"
    assert pg17.sql(query) == [(False,)]
    query = "SELECT rolreplication, rolinherit FROM pg_roles WHERE rolname = 'sub'"
    assert pg17.sql(query) == [(True, True)]
    query = "SELECT pg_has_role('sub', 'act-ing', 'USAGE')"
    assert pg17.sql(query) == [(True,)]


def test_drift_is_seen_and_mended(world: World, pg17: PgServer) -> None:
    world.project.up()
    pg17.sql('ALTER ROLE "own-er" NOLOGIN')
    pg17.sql('CREATE TABLE "s x".t (i int)', database="Data Base")
    assert "own-er" not in world.project.pulumi("preview")
    world.project.pulumi("refresh", "--yes", "--skip-preview")
    output = world.project.up()
    assert "2 updated" in output
    world.login("planted-first")
    reader = world.project.pulumi("stack", "output", "reader").strip()
    query = "SELECT has_table_privilege(%s, '\"s x\".t', 'SELECT')"
    assert pg17.sql(query, reader, database="Data Base") == [(True,)]
    pg17.sql('DROP TABLE "s x".t', database="Data Base")


def test_what_a_fence_changed_stays_with_ignore_changes(world: World, pg17: PgServer) -> None:
    options = "pulumi.ResourceOptions(provider=server, ignore_changes=['login', 'connectionLimit'])"
    world.write(role_opts=options)
    world.project.up()
    pg17.sql('ALTER ROLE "own-er" NOLOGIN CONNECTION LIMIT 0')
    world.project.up("--refresh")
    query = "SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = 'own-er'"
    assert pg17.sql(query) == [(False, 0)]
    world.write(secret="planted-second")
    world.project.up()
    assert pg17.sql(query) == [(False, 0)]


def test_a_database_in_use_can_be_dropped_and_one_gone_is_no_error(
    world: World, pg17: PgServer
) -> None:
    world.project.up()
    with pg17.connect("Data Base") as session:
        world.project.pulumi("destroy", "--yes", "--skip-preview")
        with pytest.raises(psycopg.Error):
            session.execute("SELECT 1")
    world.project.up()
    pg17.sql('DROP DATABASE "Data Base" WITH (FORCE)')
    world.project.pulumi("destroy", "--yes", "--skip-preview")
    assert pg17.sql("SELECT FROM pg_roles WHERE rolname = 'own-er'") == []


def test_an_unreachable_server_is_one_plain_error(world: World) -> None:
    world.write(port=1)
    output = world.project.up(code=1)
    assert "error connecting to PostgreSQL server" in output
    assert "Traceback" not in output
    world.write(port=world.server.port)
