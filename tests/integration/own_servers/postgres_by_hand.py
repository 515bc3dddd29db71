"""A PostgreSQL 17 that was on core-worker-01 before us, with somebody else's data in it."""

from __future__ import annotations

from tests.support import timeouts
from tests.support.fix_lab import Lab
from tests.support.fix_postgres import wait_for

HOST = "core-worker-01"
NAME = "warehouse-postgres"
FOLDER = "/opt/warehouse"
ADMIN_PASSWORD = "warehouse's 'own' administrator"
ADDED_HBA = "host warehouse analyst 192.0.2.0/24 scram-sha-256"

FOREIGN = """
CREATE ROLE analyst LOGIN PASSWORD 'analyst' CONNECTION LIMIT 7;
ALTER ROLE analyst SET work_mem = '9MB';
CREATE ROLE readers;
GRANT readers TO analyst;
CREATE DATABASE warehouse OWNER analyst;
ALTER SYSTEM SET log_min_duration_statement = '5s';
SELECT pg_reload_conf();
"""
TABLES = """
CREATE TABLE sales (id int PRIMARY KEY, what text NOT NULL, paid numeric);
INSERT INTO sales SELECT n, 'thing ' || n, n * 1.25 FROM generate_series(1, 500) n;
GRANT SELECT ON sales TO readers;
"""

OUR_ROLES = "'airbyte', 'airbyte_migration', 'airbyte_prod', 'airbyte_replica'"
OURS = f"{OUR_ROLES}, 'airbyte_mirror', 'temporal', 'temporal_visibility'"


def start(lab: Lab) -> None:
    """Start it by hand, as if installed: on the host's own network, with TLS, and fill it."""
    image = lab.images["postgres"]
    lines = [
        f"docker pull -q {image}",
        f"mkdir -p {FOLDER} && cat > {FOLDER}/password",
        "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=warehouse "
        f"-keyout {FOLDER}/server.key -out {FOLDER}/server.crt 2>/dev/null",
        f"chown $(docker run --rm --entrypoint id {image} -u postgres) {FOLDER}/*",
        f"docker run -d --name {NAME} --network host --restart unless-stopped "
        f"-v {FOLDER}:/opt/warehouse:ro -v warehouse:/var/lib/postgresql/data "
        f"-e POSTGRES_PASSWORD_FILE=/opt/warehouse/password {image} postgres -c ssl=on "
        "-c ssl_cert_file=/opt/warehouse/server.crt -c ssl_key_file=/opt/warehouse/server.key",
    ]
    lab.ssh(HOST, "set -e\n" + "\n".join(lines), stdin=ADMIN_PASSWORD)
    wait_for(lambda: _accepts(lab), timeouts.SERVER_START)
    hba = "/var/lib/postgresql/data/pg_hba.conf"
    lab.docker(HOST, "exec", NAME, "sh", "-c", f"echo '{ADDED_HBA}' >> {hba}")
    for statement in FOREIGN.strip().splitlines():
        sql(lab, statement)
    sql(lab, TABLES, "warehouse")


def _accepts(lab: Lab) -> bool:
    ready = f"docker exec {NAME} pg_isready -q -h 127.0.0.1"
    return lab.ssh(HOST, ready, check=False).returncode == 0


def sql(lab: Lab, query: str, database: str = "postgres") -> str:
    """Run SQL as the administrator, inside the container."""
    psql = ("exec", NAME, "psql", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database)
    return lab.docker(HOST, *psql, "-Atc", query)


def of_others(lab: Lab) -> dict[str, str]:
    """Everything on the server that is not ours: roles, databases, rows, settings, files."""
    queries = {
        "roles": f"SELECT a.*, r.rolconfig FROM pg_authid a JOIN pg_roles r USING (oid) "
        f"WHERE a.rolname NOT IN ({OURS}) ORDER BY 1",
        "memberships": "SELECT roleid::regrole, member::regrole, admin_option "
        f"FROM pg_auth_members WHERE member::regrole::text NOT IN ({OURS}) "
        f"AND roleid::regrole::text NOT IN ({OURS}) ORDER BY 1, 2",
        "databases": "SELECT oid, datname, datdba::regrole, datacl, datconnlimit, datallowconn, "
        f"shobj_description(oid, 'pg_database') FROM pg_database WHERE datname NOT IN ({OURS}) "
        "ORDER BY 1",
        "role settings": "SELECT * FROM pg_db_role_setting WHERE setrole = 0 "
        f"OR pg_get_userbyid(setrole) NOT IN ({OUR_ROLES})",
        "parameter rights": "SELECT * FROM pg_parameter_acl",
        "settings": "SELECT name, setting, source FROM pg_settings ORDER BY 1",
        "pg_hba": "SELECT * FROM pg_hba_file_rules",
        "publications": "SELECT slot_name FROM pg_replication_slots",
    }
    found = {what: sql(lab, query) for what, query in queries.items()}
    for database in ("warehouse", "postgres"):
        found[f"objects of {database}"] = sql(
            lab,
            "SELECT oid, relname, relfilenode, relowner::regrole, relacl, relreplident "
            "FROM pg_class WHERE oid >= 16384 ORDER BY 1",
            database,
        )
    # xmin tells a row that was written again with the same values.
    found["rows"] = sql(lab, "SELECT xmin, ctid, * FROM sales ORDER BY id", "warehouse")
    files = "cd /var/lib/postgresql/data && sha256sum *.conf"
    shape = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}"
    found["container"] = lab.docker(HOST, "inspect", "--format", shape, NAME)
    found["files"] = lab.docker(HOST, "exec", NAME, "sh", "-c", files)
    return found


def running(lab: Lab) -> list[str]:
    """Names of all containers on its host."""
    return lab.docker(HOST, "ps", "-a", "--format", "{{.Names}}").split()
