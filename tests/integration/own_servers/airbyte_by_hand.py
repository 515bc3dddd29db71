"""An Airbyte 0.63.15 as its owner started it: in folder `data-team`, by plain docker commands.

Written from Airbyte's compose file, on purpose not from the program's own table of services.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any

from lab.spec import WORLD
from tests.support import timeouts
from tests.support.fix_lab import Lab
from tests.support.fix_postgres import wait_for

HOST = "prod"
PROJECT = "data-team"
VERSION = "0.63.15"
FOLDER = f"/opt/{PROJECT}"
DATABASE_PASSWORD = "the owner's: $ecret"
BASIC_AUTH = "airbyte:who-may-come-in"
NETWORK = f"{PROJECT}_airbyte_internal"
LOGICAL = "postgres -c wal_level=logical"
"""The owner has it already, so that nothing needs a restart."""

WORKSPACE = "-v airbyte_workspace:/tmp/workspace"
LOCAL_ROOT = "-v oss_local_root:/tmp/airbyte_local"
DATABASE_DATA = "-v airbyte_db:/var/lib/postgresql/data"
SOCKET = "-v /var/run/docker.sock:/var/run/docker.sock -u root"
PROXY_PORTS = "-p 8000:8000 -p 8001:8001 -p 8003:8003"
SOCAT = "TCP-LISTEN:2375,fork,reuseaddr UNIX-CONNECT:/var/run/docker.sock"

SERVICES: tuple[tuple[str, str, str, str, str], ...] = (
    ("docker-proxy", f"{PROJECT}-docker-proxy-1", "alpine/socat", SOCKET, SOCAT),
    ("airbyte-temporal", "airbyte-temporal", "airbyte/temporal", "", ""),
    ("worker", "airbyte-worker", "airbyte/worker", f"{WORKSPACE} {LOCAL_ROOT}", ""),
    ("server", "airbyte-server", "airbyte/server", f"{WORKSPACE} -v airbyte_data:/data", ""),
    ("webapp", "airbyte-webapp", "airbyte/webapp", "", ""),
    ("airbyte-cron", "airbyte-cron", "airbyte/cron", WORKSPACE, ""),
    (
        "airbyte-connector-builder-server",
        "airbyte-connector-builder-server",
        "airbyte/connector-builder-server",
        "",
        "",
    ),
    ("airbyte-proxy", "airbyte-proxy", "airbyte/proxy", PROXY_PORTS, ""),
)
"""Service, container, image, options, command: what starts once the database has its schema."""


def _dotenv(lab: Lab) -> str:
    user, _, password = BASIC_AUTH.partition(":")
    values = {
        "VERSION": VERSION,
        "AIRBYTE_VERSION": VERSION,
        "DATABASE_USER": "docker",
        "DATABASE_PASSWORD": DATABASE_PASSWORD,
        "DATABASE_URL": "jdbc:postgresql://db:5432/airbyte",
        "POSTGRES_USER": "docker",
        "POSTGRES_PASSWORD": DATABASE_PASSWORD,
        "POSTGRES_PWD": DATABASE_PASSWORD,
        "POSTGRES_SEEDS": "db",
        "DB": "postgresql",
        "DB_PORT": "5432",
        "TEMPORAL_HOST": "airbyte-temporal:7233",
        "INTERNAL_API_HOST": "http://airbyte-server:8001",
        "CONNECTOR_BUILDER_API_HOST": "airbyte-connector-builder-server:8080",
        "CONFIGS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.40.23.002",
        "JOBS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.40.26.001",
        "SECRET_PERSISTENCE": "TESTING_CONFIG_DB_TABLE",
        "WEBAPP_URL": "http://localhost:8000/",
        "BASIC_AUTH_USERNAME": user,
        "BASIC_AUTH_PASSWORD": password,
        "LAB_WORLD_URL": f"http://{lab.spec.address(WORLD)}:8080",
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _run(lab: Lab, service: tuple[str, str, str, str, str], how: str = "-d") -> str:
    alias, container, image, options, command = service
    labels = f"--label com.docker.compose.project={PROJECT} --label com.docker.compose.service="
    return (
        f"docker run {how} --name {container} --network {NETWORK} --network-alias {alias} "
        f"--env-file {FOLDER}/.env {labels}{alias} {options} {lab.images[image]} {command}"
    )


def start(lab: Lab) -> None:
    """Start it and wait until its API answers through the proxy."""
    database = ("db", "airbyte-db", "airbyte/db", DATABASE_DATA, LOGICAL)
    make_folders = "./scripts/create_mount_directories.sh /local_parent /tmp /tmp/airbyte_local"
    init = ("init", "init", "airbyte/init", "-v /tmp:/local_parent", make_folders)
    bootloader = ("bootloader", "airbyte-bootloader", "airbyte/bootloader", "", "")
    kept = "-d --restart unless-stopped"
    lines = [
        f"mkdir -p {FOLDER} && cat > {FOLDER}/.env",
        f"docker network create {NETWORK}",
        f"docker network create {PROJECT}_airbyte_public",
        *(
            f"docker volume create {volume}"
            for volume in ("airbyte_db", "airbyte_workspace", "airbyte_data", "oss_local_root")
        ),
        _run(lab, init, ""),
        _run(lab, database, kept),
        _run(lab, bootloader, ""),
        *(_run(lab, service, kept) for service in SERVICES),
        f"docker network connect {PROJECT}_airbyte_public airbyte-proxy",
    ]
    lab.ssh(HOST, "set -e\n" + "\n".join(lines), stdin=_dotenv(lab))
    wait_for(lambda: _healthy(lab), timeouts.CONVERGE)
    post(lab, "/lab/seed", {"connections": 2, "jobs": 200, "payload_bytes": 200})


def sql(lab: Lab, query: str) -> str:
    """Run SQL on its database as the owner, inside the container."""
    psql = ("exec", "airbyte-db", "psql", "-U", "docker", "-d", "airbyte", "-Atc", query)
    return lab.docker(HOST, *psql)


def post(lab: Lab, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST through the proxy, as a user does."""
    token = base64.b64encode(BASIC_AUTH.encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{lab.port(HOST, 8000)}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        parsed: dict[str, Any] = json.loads(answer.read())
        return parsed


def _healthy(lab: Lab) -> bool:
    try:
        post(lab, "/api/v1/workspaces/list", {})
    except (urllib.error.URLError, OSError):
        return False
    return True


def containers(lab: Lab) -> dict[str, Any]:
    """All that `docker inspect` says of every container of the owner's, by name."""
    ours = f"docker ps -aq --filter label=com.docker.compose.project={PROJECT}"
    inspected = json.loads(lab.ssh(HOST, f"docker inspect $({ours})").stdout)
    for item in inspected:
        item["Mounts"].sort(key=lambda mount: mount["Destination"])
    return {item["Name"]: item for item in inspected}


def database_server(lab: Lab) -> dict[str, str]:
    """What a feed may change on the database server, and more."""
    queries = {
        "roles": "SELECT rolname, rolsuper, rolreplication FROM pg_roles ORDER BY 1",
        "memberships": "SELECT roleid, member FROM pg_auth_members ORDER BY 1, 2",
        "databases": "SELECT datname, datacl FROM pg_database ORDER BY 1",
        # GRANT and REVOKE leave the owner's rights, spelled out.
        "tables": "SELECT relname, relreplident, coalesce(relacl, acldefault("
        "CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner)) FROM pg_class "
        "WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace ORDER BY 1",
        "defaults": "SELECT defaclrole, defaclobjtype, defaclacl FROM pg_default_acl",
        "schemas": "SELECT nspname, nspacl FROM pg_namespace WHERE nspname !~ '^pg_t' ORDER BY 1",
        "publications": "SELECT pubname FROM pg_publication",
        "slots": "SELECT slot_name FROM pg_replication_slots",
        "senders": "SELECT application_name FROM pg_stat_replication",
        "settings": "SELECT name, setting FROM pg_file_settings ORDER BY 1, 2",
        "triggers": "SELECT evtname FROM pg_event_trigger",
    }
    return {what: sql(lab, query) for what, query in queries.items()}


def host_objects(lab: Lab) -> str:
    """Containers, networks, volumes and authorized keys on the host, line by line."""
    return lab.ssh(
        HOST,
        "docker ps -a --format '{{.Names}}'; docker network ls --format '{{.Name}}'; "
        "docker volume ls -q; cat /root/.ssh/authorized_keys",
    ).stdout
