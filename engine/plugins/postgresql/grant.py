"""`postgresql:index/grant:Grant`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from psycopg import sql

from engine.plugins.postgresql.base import (
    ROLE_EXISTS,
    SCHEMA_EXISTS,
    PostgresResource,
    exists,
    flag,
    listing,
    name_or_public,
    word,
    words,
)
from engine.plugins.postgresql.connection import Connection, Server, member_of, transaction
from engine.plugins.resource import Input, Properties

# Which privileges each kind of object has. Source: PostgreSQL manual, table 5.2.
PRIVILEGES: Mapping[str, frozenset[str]] = {
    "database": frozenset({"ALL", "CREATE", "CONNECT", "TEMPORARY"}),
    "schema": frozenset({"ALL", "CREATE", "USAGE"}),
    "table": frozenset(
        {"ALL", "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}
        | {"MAINTAIN"}
    ),
    "sequence": frozenset({"ALL", "USAGE", "SELECT", "UPDATE"}),
    "function": frozenset({"ALL", "EXECUTE"}),
    "procedure": frozenset({"ALL", "EXECUTE"}),
    "routine": frozenset({"ALL", "EXECUTE"}),
    "column": frozenset({"SELECT", "INSERT", "UPDATE", "REFERENCES"}),
    "foreign_data_wrapper": frozenset({"ALL", "USAGE"}),
    "foreign_server": frozenset({"ALL", "USAGE"}),
}
NO_SCHEMA = frozenset({"database", "foreign_data_wrapper", "foreign_server"})
NO_OBJECTS = frozenset({"database", "schema"})
NEED_OBJECTS = frozenset({"column", "foreign_data_wrapper", "foreign_server"})

# One row an object, with the privileges that the role has on it.
_HELD = sql.SQL(
    "array(SELECT privilege_type FROM aclexplode({acl}) WHERE grantee ="
    " CASE WHEN lower(%(role)s) = 'public' THEN 0 ELSE to_regrole(%(quoted)s) END)"
)
READ = {
    "database": sql.SQL(
        "SELECT datname, {held} FROM pg_catalog.pg_database WHERE datname = %(database)s"
    ).format(held=_HELD.format(acl=sql.SQL("datacl"))),
    "schema": sql.SQL(
        "SELECT nspname, {held} FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s"
    ).format(held=_HELD.format(acl=sql.SQL("nspacl"))),
    "relation": sql.SQL(
        "SELECT relname, {held} FROM pg_catalog.pg_class WHERE relkind = ANY(%(kinds)s)"
        " AND relnamespace = to_regnamespace(%(quoted_schema)s)"
    ).format(held=_HELD.format(acl=sql.SQL("relacl"))),
    "routine": sql.SQL(
        "SELECT proname, {held} FROM pg_catalog.pg_proc WHERE prokind = ANY(%(kinds)s)"
        " AND pronamespace = to_regnamespace(%(quoted_schema)s)"
    ).format(held=_HELD.format(acl=sql.SQL("proacl"))),
}
KINDS = {
    "table": ("relation", ["r", "p"]),
    "sequence": ("relation", ["S"]),
    "function": ("routine", ["f", "a", "w"]),
    "procedure": ("routine", ["p"]),
    "routine": ("routine", ["f", "a", "w", "p"]),
    "database": ("database", []),
    "schema": ("schema", []),
}


def _qualified(properties: Properties, name: str) -> sql.Composable:
    return sql.Identifier(word(properties, "schema"), name)


def _target(properties: Properties) -> sql.Composable:
    kind, names = word(properties, "objectType"), words(properties, "objects")
    if kind == "database":
        return sql.SQL("DATABASE {}").format(sql.Identifier(word(properties, "database")))
    if kind == "schema":
        return sql.SQL("SCHEMA {}").format(sql.Identifier(word(properties, "schema")))
    kind_words = sql.SQL("TABLE" if kind == "column" else kind.upper().replace("_", " "))
    if kind in NO_SCHEMA:
        listed: list[sql.Composable] = [sql.Identifier(name) for name in names]
    else:
        listed = [_qualified(properties, name) for name in names]
    if listed:
        return sql.SQL("{} {}").format(kind_words, sql.SQL(", ").join(listed))
    schema = sql.Identifier(word(properties, "schema"))
    return sql.SQL("ALL {}S IN SCHEMA {}").format(kind_words, schema)


def _privileges(properties: Properties) -> sql.Composable:
    listed = [sql.SQL(name.upper()) for name in sorted(words(properties, "privileges"))]
    columns = [sql.Identifier(name) for name in words(properties, "columns")]
    if columns:
        inside = sql.SQL(", ").join(columns)
        return sql.SQL(", ").join(sql.SQL("{} ({})").format(p, inside) for p in listed)
    return sql.SQL(", ").join(listed)


def _revoke(connection: Connection, properties: Properties) -> None:
    columns = word(properties, "objectType") == "column"
    what = _privileges(properties) if columns else sql.SQL("ALL PRIVILEGES")
    connection.execute(
        sql.SQL("REVOKE {} ON {} FROM {}").format(
            what, _target(properties), name_or_public(word(properties, "role"))
        )
    )


def _grant(connection: Connection, properties: Properties) -> None:
    if not words(properties, "privileges"):
        return
    option = " WITH GRANT OPTION" if flag(properties, "withGrantOption") else ""
    connection.execute(
        sql.SQL("GRANT {} ON {} TO {}").format(
            _privileges(properties), _target(properties), name_or_public(word(properties, "role"))
        )
        + sql.SQL(option)
    )


def _owners(connection: Connection, properties: Properties) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT pg_get_userbyid(o)::text FROM (SELECT nspowner AS o, oid FROM"
        " pg_namespace UNION ALL SELECT relowner, relnamespace FROM pg_class) AS owned"
        " WHERE oid = to_regnamespace(quote_ident(%s))",
        (word(properties, "schema"),),
    ).fetchall()
    return [row[0] for row in rows]


class Grant(PostgresResource):
    """Privileges of one role on a database, a schema, or objects of a schema."""

    token = "postgresql:index/grant:Grant"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "role": Input(required=True, replaces=True),
        "database": Input(required=True, replaces=True),
        "schema": Input(replaces=True),
        "objectType": Input(required=True, replaces=True),
        "objects": Input(default=[], unordered=True, replaces=True),
        "columns": Input(default=[], unordered=True, replaces=True),
        "privileges": Input(required=True, unordered=True),
        "withGrantOption": Input(default=False, replaces=True),
    }

    def refuse(self, news: Properties) -> list[tuple[str, str]]:
        """Refuse kinds and privileges that do not exist, and targets that do not fit the kind."""
        failures = super().refuse(news)
        kind = news.get("objectType")
        if not isinstance(kind, str):
            return failures
        if kind not in PRIVILEGES:
            return [*failures, ("objectType", f"expected one of {sorted(PRIVILEGES)}, got {kind}")]
        wrong = {name.upper() for name in words(news, "privileges")} - PRIVILEGES[kind]
        if wrong and isinstance(news.get("privileges"), list):
            failures.append(("privileges", f"{sorted(wrong)} do not apply to a {kind}"))
        if kind not in NO_SCHEMA and "schema" not in news:
            failures.append(("schema", f"mandatory for objectType {kind}"))
        if kind in NO_OBJECTS and words(news, "objects"):
            failures.append(("objects", f"can not be given for objectType {kind}"))
        if kind in NEED_OBJECTS and not words(news, "objects"):
            failures.append(("objects", f"needed for objectType {kind}"))
        return failures

    def identify(self, server: Server, news: Properties) -> str:
        """Role, database, schema, kind, objects and columns, joined by ``_``."""
        kind = word(news, "objectType")
        parts = [word(news, "role"), word(news, "database")]
        parts += [] if kind in NO_SCHEMA else [word(news, "schema")]
        return "_".join([*parts, kind, *words(news, "objects"), *words(news, "columns")])

    def make(self, server: Server, news: Properties) -> None:
        """Revoke everything, then grant, in one transaction, so that less can be granted too."""
        with transaction(server, word(news, "database")) as connection:
            owners = _owners(connection, news) if "schema" in news else []
            with member_of(connection, server, *owners):
                _revoke(connection, news)
                _grant(connection, news)

    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """The same as making it."""
        self.make(server, news)

    def drop(self, server: Server, olds: Properties) -> None:
        """Revoke everything, if role and schema are still there."""
        with transaction(server, word(olds, "database")) as connection:
            if not _there(connection, olds):
                return
            owners = _owners(connection, olds) if "schema" in olds else []
            with member_of(connection, server, *owners):
                _revoke(connection, olds)

    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read the privileges; one object that differs shows as no privileges at all."""
        with server.connect(word(known, "database")) as connection:
            if not _there(connection, known):
                return None
            reading = KINDS.get(word(known, "objectType"))
            if reading is None:
                return {}
            return _read(connection, known, *reading)


def _there(connection: Connection, properties: Properties) -> bool:
    role, schema = word(properties, "role"), word(properties, "schema")
    if role.lower() != "public" and not exists(connection, ROLE_EXISTS, role):
        return False
    return not schema or exists(connection, SCHEMA_EXISTS, schema)


def _read(connection: Connection, known: Properties, query: str, kinds: list[str]) -> Properties:
    role, schema = word(known, "role"), word(known, "schema")
    values = {
        "role": role,
        "quoted": sql.Identifier(role).as_string(connection),
        "database": word(known, "database"),
        "schema": schema,
        "quoted_schema": sql.Identifier(schema).as_string(connection),
        "kinds": kinds,
    }
    rows = connection.execute(READ[query], values).fetchall()
    wanted = {name.upper() for name in words(known, "privileges")}
    only = set(words(known, "objects"))
    for name, found in rows:
        if only and name not in only:
            continue
        if wanted == {"ALL"} and found:
            continue
        if set(found) != wanted:
            shown = sorted(found) if query in {"database", "schema"} else []
            return {"privileges": listing(shown)}
    return {}
