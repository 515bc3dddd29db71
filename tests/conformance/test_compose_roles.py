"""Compose-shaped roles: proxy, webapp, init, and who reads which variable."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.harness import Airbyte, CallFailedError, basic, call, fetch, free_port


def proxy(airbyte: Airbyte, api: str, **env: str) -> list[str]:
    ports = [free_port() for _ in range(3)]
    webapp = airbyte.start("webapp").ready()
    process = airbyte.start(
        "proxy",
        STANDIN_PORT=",".join(map(str, ports)),
        INTERNAL_API_HOST=api.removeprefix("http://"),
        WEBAPP_HOST=webapp.url.removeprefix("http://"),
        CONNECTOR_BUILDER_API_HOST=webapp.url.removeprefix("http://"),
        **env,
    )
    process.port = ports[2]
    process.ready()
    return [f"http://127.0.0.1:{port}" for port in ports]


def test_basic_auth_is_only_in_the_proxy(booted: Airbyte) -> None:
    """1.3: 8000, 8001 and 8003 ask for basic auth; the server behind asks for nothing."""
    server = booted.server()
    env = {"BASIC_AUTH_USERNAME": "airbyte", "BASIC_AUTH_PASSWORD": "password"}
    addresses = proxy(booted, server.url, **env)
    assert call(f"{server.url}/api/v1/health")["available"]
    for address in addresses:
        with pytest.raises(CallFailedError) as refused:
            fetch(f"{address}/api/v1/health")
        assert refused.value.status == 401
        with pytest.raises(CallFailedError):
            fetch(f"{address}/api/v1/health", headers=basic("airbyte", "wrong"))
        assert call(f"{address}/api/v1/health", headers=basic("airbyte", "password"))["available"]
    assert b"stand-in" in fetch(f"{addresses[0]}/", headers=basic("airbyte", "password"))


def test_empty_user_means_no_auth(booted: Airbyte) -> None:
    """1.3: an empty BASIC_AUTH_USERNAME switches auth off."""
    address = proxy(booted, booted.server().url, BASIC_AUTH_USERNAME="")[1]
    assert call(f"{address}/api/v1/health")["available"]


def test_applications_read_the_url_only(booted: Airbyte) -> None:
    """1.2: Airbyte reads DATABASE_URL, and is not moved by DATABASE_HOST."""
    server = booted.server(DATABASE_HOST="203.0.113.1", DATABASE_PORT="1")
    assert call(f"{server.url}/api/v1/health")["available"]


def test_temporal_reads_host_and_port_only(compose: Airbyte) -> None:
    """1.2: Temporal reads HOST and PORT, and is not moved by DATABASE_URL."""
    compose.temporal(DATABASE_URL="jdbc:postgresql://203.0.113.1:1/airbyte")


def test_init_ends(compose: Airbyte) -> None:
    """1.1: init is a one-shot."""
    process = compose.start("init")
    assert process.ended() == 0


def test_secret_table_is_lazy(booted: Airbyte) -> None:
    """4.3: `secrets` is made by the application, in plain text, when it first stores one."""
    server = booted.server()
    assert booted.one("SELECT to_regclass('public.secrets') IS NULL")
    call(f"{server.url}/lab/secret", {"coordinate": "a_v1", "payload": "geheim"})
    found = booted.sql("SELECT coordinate, payload FROM secrets")
    assert found == [{"coordinate": "a_v1", "payload": "geheim"}]


def test_server_only_checks_at_start(booted: Airbyte) -> None:
    """4.4: the server at start checks the minimum Flyway version and writes nothing."""
    changes = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
    booted.sql("SELECT pg_stat_reset()")
    server = booted.server()
    call(f"{server.url}/api/v1/health")
    assert (booted.one(changes) or 0) == 0


def test_server_waits_for_its_minimum(booted: Airbyte) -> None:
    """6: a schema older than the minimum keeps the server from starting."""
    server = booted.start("server", CONFIGS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION="9.9.9.001")
    with pytest.raises(AssertionError):
        server.ready_within(1.5)


def test_database_restart_delays_requests(booted: Airbyte) -> None:
    """1.3: after a restart of the database (wal_level) requests wait for a new connection."""
    server = booted.server()
    first = call(f"{server.url}/lab/write", {"n": 1})["id"]
    booted.postgres.restart()
    assert call(f"{server.url}/lab/write", {"n": 2})["id"] > first


def test_the_first_writes_of_a_load_come_together(booted: Airbyte) -> None:
    """Lab-only: no writer meets a connection that another has not committed yet."""
    server = booted.server()

    def write(number: int) -> int:
        return int(call(f"{server.url}/lab/write", {"n": number})["id"])

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(write, range(24)))
    assert len(set(written)) == 24


def test_the_api_lists_and_updates(booted: Airbyte) -> None:
    """Contract, part 2: workspaces, connections, jobs; an update may change the schedule."""
    booted.temporal()
    api = f"{booted.server().url}/api/v1"
    call(f"{booted.started[-1].url}/lab/seed", {"connections": 5, "jobs": 50, "payload_bytes": 64})
    workspace = call(f"{api}/workspaces/list", {})["workspaces"][0]["workspaceId"]
    listed = call(f"{api}/connections/list", {"workspaceId": workspace})["connections"]
    assert len(listed) == 5
    one = {"connectionId": listed[0]["connectionId"]}
    changed = call(f"{api}/connections/update", one | {"status": "inactive"})
    assert changed["status"] == "inactive"
    assert call(f"{api}/connections/get", one)["status"] == "inactive"
    wanted = {"configTypes": ["sync"], "configId": one["connectionId"]}
    jobs = call(f"{api}/jobs/list", wanted)["jobs"]
    assert call(f"{api}/jobs/get", {"id": jobs[0]["job"]["id"]})["attempts"]
    with pytest.raises(CallFailedError) as missing:
        call(f"{api}/connections/get", {"connectionId": "00000000-0000-0000-0000-00000000beef"})
    assert missing.value.status == 404


def test_the_seed_is_deterministic_and_awkward(booted: Airbyte) -> None:
    """4.2 and issue A1: NULLs, arrays, bytea, NaN, big values, empty tables, duplicate rows."""
    booted.temporal()
    server = booted.server()
    body = {"connections": 4, "jobs": 100, "payload_bytes": 2500}
    call(f"{server.url}/lab/seed", body)
    digest = "SELECT md5(string_agg(config::text, '' ORDER BY id)) FROM jobs"
    first = booted.one(digest)
    call(f"{server.url}/lab/seed", body)
    assert booted.one(digest) == first
    assert booted.one("SELECT max(length(a_bytea)) FROM lab_peculiar_values") >= 500_000
    assert booted.one("SELECT max(length(catalog::text)) FROM actor_catalog") >= 1_000_000
    assert booted.one("SELECT count(*) FROM normalization_summaries") == 0
    copies = "SELECT max(n) FROM (SELECT count(*) n FROM stream_reset GROUP BY id) x"
    assert booted.one(copies) == 2
    assert booted.one("SELECT max(generation_id) FROM stream_generation") == 2**63 - 1
