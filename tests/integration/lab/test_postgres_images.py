"""The PostgreSQL images keep the environment contract of the official image."""

import json
import shlex
from collections.abc import Iterator

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.support import timeouts
from tests.support.fix_lab import Lab

HOST = "intermediary"
NAME = "lab-test-postgres"
VERSIONS = {"airbyte/db": "13.23", "postgres": "17.10"}


class Server:
    """One container on the host."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def run(self, key: str, *options: str, command: tuple[str, ...] = ()) -> None:
        image = self.lab.images[key]
        self.lab.docker(HOST, "run", "-d", "--name", NAME, *options, image, *command)
        Retrying(
            stop=stop_after_delay(timeouts.SERVER_START),
            wait=wait_fixed(0.2),
            retry=retry_if_result(lambda answers: not answers),
        )(self.answers)

    def answers(self) -> bool:
        line = f"docker exec {NAME} pg_isready -h 127.0.0.1"
        return self.lab.ssh(HOST, line, check=False).returncode == 0

    def sql(self, query: str, *, user: str, database: str = "postgres", password: str = "") -> str:
        over_tcp = ["-h", "127.0.0.1"] if password else []
        psql = ["psql", "-XtA", *over_tcp, "-U", user, "-d", database, "-c", query]
        return self.lab.docker(HOST, "exec", "-e", f"PGPASSWORD={password}", NAME, *psql)


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    remove = f"docker rm --force --volumes {NAME}"
    lab.ssh(HOST, remove, check=False)
    yield Server(lab)
    lab.ssh(HOST, remove, check=False)


@pytest.mark.parametrize("key", VERSIONS)
def test_version_role_and_database(server: Server, key: str) -> None:
    server.run(key, "-e", "POSTGRES_USER=docker", "-e", "POSTGRES_PASSWORD=p'a\"s $s")
    assert server.sql("show server_version", user="docker", password="p'a\"s $s") == VERSIONS[key]
    databases = set(server.sql("select datname from pg_database", user="docker").split())
    airbyte = {"airbyte"} if key == "airbyte/db" else set()
    assert databases == {"postgres", "template0", "template1", "docker", *airbyte}
    assert server.sql("select rolsuper from pg_roles where rolname='docker'", user="docker") == "t"


def test_airbyte_db_is_the_release_as_it_was_shipped(server: Server) -> None:
    server.run("airbyte/db", "-e", "POSTGRES_USER=docker", "-e", "POSTGRES_PASSWORD=docker")
    assert server.sql("show wal_level", user="docker") == "replica"
    assert server.sql("show max_connections", user="docker") == "150"


def test_secrets_by_file_arguments_and_init_scripts(lab: Lab, server: Server) -> None:
    lab.ssh(HOST, "mkdir -p /tmp/lab-test-pg && cat > /tmp/lab-test-pg/secret", stdin="from a file")
    lab.ssh(HOST, "cat > /tmp/lab-test-pg/1.sql", stdin="create table made as select 1 as one;")
    server.run(
        "postgres",
        *("-v", "/tmp/lab-test-pg/secret:/run/secret:ro"),
        *("-v", "/tmp/lab-test-pg/1.sql:/docker-entrypoint-initdb.d/1.sql:ro"),
        *("-e", "POSTGRES_PASSWORD_FILE=/run/secret", "-e", 'POSTGRES_DB=a "name"'),
        *("-e", "POSTGRES_INITDB_ARGS=--auth-local=peer --data-checksums"),
        command=("postgres", "-c", "wal_level=logical", "-c", "max_wal_senders=7"),
    )
    one = server.sql(
        "select one from made", user="postgres", database='a "name"', password="from a file"
    )
    assert one == "1"
    setting = "select string_agg(setting, ',' order by name) from pg_settings where name in ({})"
    names = "'data_checksums','max_wal_senders','wal_level'"
    found = server.sql(setting.format(names), user="postgres", password="from a file")
    assert found == "on,7,logical"
    lab.ssh(HOST, "rm -r /tmp/lab-test-pg")


def test_no_password_is_refused(lab: Lab) -> None:
    done = lab.ssh(HOST, f"docker run --rm {shlex.quote(lab.images['postgres'])}", check=False)
    assert done.returncode == 1
    assert "superuser password is not specified" in done.stderr


def test_data_survives_a_new_container_on_the_same_volume(lab: Lab, server: Server) -> None:
    volume = ("-v", "lab-test-pg:/var/lib/postgresql/data")
    server.run("postgres", *volume, "-e", "POSTGRES_PASSWORD=first")
    server.sql("create table kept as select 42 as n", user="postgres")
    lab.docker(HOST, "stop", NAME)
    found = lab.inspect(HOST, NAME)
    assert found is not None
    assert found["State"]["ExitCode"] == 0, json.dumps(found["State"])
    lab.docker(HOST, "rm", NAME)
    server.run("postgres", *volume, "-e", "POSTGRES_PASSWORD=second")
    assert server.sql("select n from kept", user="postgres", password="first") == "42"
    lab.docker(HOST, "rm", "--force", NAME)
    lab.docker(HOST, "volume", "rm", "lab-test-pg")
