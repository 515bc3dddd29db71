"""Servers that let nobody in without encryption (`hostssl`), by every way that we come."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.scenarios.follow_outages.seen import MIRROR
from tests.support import fix_postgres, timeouts
from tests.support.fix_postgres import PgServer, own_server, unprivileged_ids, wait_for
from tests.support.scenario import Scenario

HOSTSSL = """
local all all trust
hostssl all,replication all all scram-sha-256
"""
SETUP = Path(__file__).with_name("setup.sql")


def encrypt(server: PgServer) -> None:
    home = Path(server.home)
    key, certificate = home / "server.key", home / "server.crt"
    make = ["openssl", "req", "-new", "-x509", "-nodes", "-days", "3", "-subj", "/CN=127.0.0.1"]
    make += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(make, check=True, capture_output=True)
    os.chown(key, *(unprivileged_ids() or (-1, -1)))
    key.chmod(0o600)
    certificate.chmod(0o644)
    with (server.data / "postgresql.conf").open("a") as conf:
        conf.write(f"ssl = on\nssl_key_file = '{key}'\nssl_cert_file = '{certificate}'\n")
    (server.data / "pg_hba.conf").write_text(HOSTSSL)
    server.restart()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PgServer, PgServer]]:
    with ExitStack() as running:
        found = [
            running.enter_context(own_server(major, user))
            for major, user in ((13, "docker"), (17, "postgres"))
        ]
        for server in found:
            encrypt(server)
        yield found[0], found[1]


@pytest.fixture
def encrypted(servers: tuple[PgServer, PgServer], tmp_path: Path) -> Iterator[Scenario]:
    found = Scenario(*servers, tmp_path)
    found.reset(SETUP.read_text())
    yield found
    for stop in found.stops:
        stop()


@pytest.mark.parametrize("mode", ["logical", "snapshot"])
def test_a_source_that_takes_encryption_only(encrypted: Scenario, mode: str) -> None:
    """With `prefer`, which is what prod is entered with where nothing else is said."""
    encrypted.settings["feeds.0.mode"] = mode
    encrypted.converge()
    encrypted.assert_equal()


@pytest.fixture
def authority(encrypted: Scenario, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Name both servers' certificates to this process, and demand them of both."""
    homes = [Path(server.home) for server in (encrypted.source, encrypted.target)]
    known = homes[1] / "known.crt"
    known.write_text("".join((home / "server.crt").read_text() for home in homes))
    known.chmod(0o644)
    monkeypatch.setenv("PGSSLROOTCERT", str(known))
    sides = ("feeds.0.source", "feeds.0.target", "control")
    encrypted.settings |= {f"{side}.sslmode": "verify-full" for side in sides}
    yield monkeypatch
    monkeypatch.undo()
    encrypted.target.restart()


@pytest.mark.usefixtures("authority")
def test_the_authority_is_named_once_for_all(encrypted: Scenario) -> None:
    """By libpq's own variable, which pg_dump has to be given, too."""
    encrypted.settings["feeds.0.mode"] = "snapshot"
    encrypted.converge()
    encrypted.assert_equal()


def test_the_targets_own_server_needs_it_too(
    encrypted: Scenario, authority: pytest.MonkeyPatch
) -> None:
    agent = encrypted.agent()

    def refused() -> bool:
        agent.once()
        return encrypted.state()["error"] is not None

    wait_for(refused, timeouts.CONVERGE)
    said = encrypted.state()["error"]
    assert "root certificate file" in said["found"]
    assert "PGSSLROOTCERT" in said["way_out"]
    assert "of the target's server" in said["way_out"]
    authority.setattr(fix_postgres, "INHERITED", {*fix_postgres.INHERITED, "PGSSLROOTCERT"})
    encrypted.target.restart()
    encrypted.converge(agent)
    encrypted.assert_equal()


def test_whose_authority_is_not_there_is_told_where_to_put_it(encrypted: Scenario) -> None:
    encrypted.settings["feeds.0.source.sslmode"] = "verify-full"
    said = encrypted.cli("prepare", PGSSLROOTCERT="/nowhere/root.crt").stderr
    assert 'root certificate file "/nowhere/root.crt" does not exist' in said
    assert "PGSSLROOTCERT" in said


def test_a_password_that_is_refused_is_not_hidden_by_the_try_without_encryption(
    encrypted: Scenario,
) -> None:
    """With `prefer` libpq comes again without, and says last that nobody gets in like that."""
    agent = encrypted.converge()
    before = encrypted.target.sql(MIRROR)
    encrypted.source.sql("ALTER ROLE airbyte_migration PASSWORD 'of somebody else'")
    encrypted.source.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    encrypted.source.sql("INSERT INTO plain VALUES (1000, 'late')", database="airbyte")
    encrypted.converge(agent)
    encrypted.assert_equal()
    assert encrypted.target.sql(MIRROR) == before

    owner = encrypted.folder / "outdated"
    owner.write_text("of-last-year")
    login = {"user": encrypted.source.user, "password_file": str(owner)}
    encrypted.settings["feeds.0.source.owner"] = login
    said = encrypted.cli("prepare").stderr
    assert "password authentication failed" in said
    assert str(owner) in said
