"""All that the catalogs of prod's server say, and how `release --dry-run` names each of it."""

from __future__ import annotations

from tests.support.fix_postgres import PgServer

ROLE = "airbyte_migration"
ACL = """
SELECT concat_ws(' ', '{kind}', {name}, a.grantor::regrole, a.grantee::regrole, a.privilege_type,
                 a.is_grantable),
       a.privilege_type || ' on {kind} ' || {name}
FROM {table}, aclexplode(coalesce({acl}, acldefault('{letter}', {owner}))) a WHERE {where}
"""
"""No ACL at all says the same as one that says what the owner may: GRANT writes it out."""
OURS = "n.nspname !~ '^pg_(toast_)?temp'"
RELATIONS = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
RELATION = "n.nspname || '.' || c.relname"


def acl(kind: str, letter: str, prefix: str, table: str, name: str, where: str = "true") -> str:
    """Return the query for every right on one kind of object."""
    where_from = {"kind": kind, "letter": letter, "table": table, "name": name, "where": where}
    owner = "datdba" if kind == "database" else f"{prefix}owner"
    return ACL.format(**where_from, acl=f"{prefix}acl", owner=owner)


QUERIES = (
    # roles, and what they are
    """
    SELECT concat_ws(' ', 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb,
                     rolbypassrls, rolconnlimit, rolvaliduntil), 'role `' || rolname || '`'
    FROM pg_roles
    """,
    """
    SELECT concat_ws(' ', rolname, o.name, o.has),
           '(option ' || o.name || '|' || o.name || ' of role `' || rolname || '`)'
    FROM pg_authid, LATERAL (VALUES ('LOGIN', nullif(rolcanlogin, false)::text),
        ('REPLICATION', nullif(rolreplication, false)::text),
        ('(PASSWORD|our password)', rolpassword)
    ) o (name, has) WHERE o.has IS NOT NULL
    """,
    "SELECT 'member ' || m::text, 'member ' || m.member::regrole FROM pg_auth_members m",
    "SELECT 'setting of role ' || s::text, NULL FROM pg_db_role_setting s",
    "SELECT 'note ' || d::text, 'our note (COMMENT ON ROLE|on role)' FROM pg_shdescription d "
    "WHERE classoid = 'pg_authid'::regclass",
    # rights
    acl("database", "d", "dat", "pg_database d", "d.datname"),
    acl("schema", "n", "nsp", "pg_namespace n", "n.nspname", OURS),
    acl("table", "r", "rel", RELATIONS, RELATION, f"{OURS} AND c.relkind NOT IN ('S', 'i', 'I')"),
    acl("sequence", "s", "rel", RELATIONS, RELATION, f"{OURS} AND c.relkind = 'S'"),
    acl("function", "f", "pro", "pg_proc f", "f.oid::regprocedure::text"),
    acl("language", "l", "lan", "pg_language l", "l.lanname"),
    acl("type", "T", "typ", "pg_type t", "t.oid::regtype::text"),
    "SELECT concat_ws(' ', 'column', attrelid::regclass, attname, attacl), NULL FROM pg_attribute "
    "WHERE attacl IS NOT NULL",
    """
    SELECT concat_ws(' ', 'default', d.defaclrole::regrole, d.defaclnamespace, d.defaclobjtype, a),
           'default ' || a.privilege_type || ' on '
           || CASE d.defaclobjtype WHEN 'r' THEN 'tables' ELSE 'sequences' END
           || ' made by ' || d.defaclrole::regrole
    FROM pg_default_acl d, aclexplode(d.defaclacl) a
    WHERE d.defaclnamespace <> 0 OR a.grantee <> d.defaclrole
    """,
    # what there is
    "SELECT concat_ws(' ', relkind, c.oid, c.relname, relowner, relnamespace), NULL "
    f"FROM {RELATIONS} WHERE {OURS} AND n.nspname <> 'pg_toast'",
    "SELECT concat_ws(' ', 'schema', oid, nspname, nspowner), NULL FROM pg_namespace n WHERE "
    + OURS,
    "SELECT concat_ws(' ', 'function', oid, prosrc), NULL FROM pg_proc",
    "SELECT concat_ws(' ', 'trigger', oid, tgname, tgenabled), NULL FROM pg_trigger",
    "SELECT concat_ws(' ', 'event trigger', oid, evtname), NULL FROM pg_event_trigger",
    "SELECT concat_ws(' ', 'extension', oid, extname), NULL FROM pg_extension",
    "SELECT concat_ws(' ', 'database', oid, datname, datallowconn, datconnlimit), NULL "
    "FROM pg_database",
    "SELECT concat_ws(' ', 'subscription', oid), NULL FROM pg_subscription",
    "SELECT concat_ws(' ', 'policy', oid), NULL FROM pg_policy",
    "SELECT concat_ws(' ', 'row security', oid, relname), NULL FROM pg_class "
    "WHERE relrowsecurity OR relforcerowsecurity",
    "SELECT 'comment ' || d::text, "
    "CASE WHEN classoid = 'pg_publication'::regclass THEN 'our note COMMENT ON PUBLICATION' END "
    "FROM pg_description d WHERE objoid >= 16384",
    "SELECT 'shared comment ' || d::text, NULL FROM pg_shdescription d "
    "WHERE classoid <> 'pg_authid'::regclass",
    "SELECT concat_ws(' ', 'identity', c.oid, c.relreplident), "
    f"'REPLICA IDENTITY FULL on `' || {RELATION} || '`' FROM {RELATIONS} "
    f"WHERE c.relkind IN ('r', 'p') AND {OURS}",
    # what is replicated
    "SELECT to_jsonb(p)::text, 'publication `' || pubname || '`' FROM pg_publication p",
    "SELECT 'member ' || prrelid, 'member ' || (SELECT n.nspname || '.' || relname FROM "
    f"{RELATIONS} WHERE c.oid = prrelid) FROM pg_publication_rel",
    "SELECT slot_name::text, 'replication slot `' || slot_name || '`' FROM pg_replication_slots",
    # how the server is set
    "SELECT concat_ws(' ', name, setting, sourcefile), '`' || name || '( = .*)?` by ALTER SYSTEM' "
    "FROM pg_file_settings",
    "SELECT concat_ws(' ', name, setting), '`' || name || '( = .*)?` by ALTER SYSTEM' "
    "FROM pg_settings",
)
Facts = dict[str, str]


def facts(server: PgServer, database: str = "airbyte") -> Facts:
    """Return what is true of the server now, and how each is named when it is of our making."""
    with server.connect(database) as connection:
        found = [row for query in QUERIES for row in connection.execute(query.encode()).fetchall()]
    return {str(fact): str(named or f"nothing of ours: {fact}") for fact, named in found}


def changed(before: Facts, after: Facts) -> Facts:
    """Return what is true at one of the two times alone."""
    return {fact: ({**before, **after})[fact] for fact in before.keys() ^ after.keys()}
