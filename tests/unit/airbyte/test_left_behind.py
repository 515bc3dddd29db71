"""What does not travel with the database, as a table; never a value but a host's name."""

from __future__ import annotations

import pytest

from airbyte.left_behind import ADVICE, Actor, Kind, hosts, judge_host, judge_image, left_behind


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("localhost", Kind.LOOPBACK),
        ("LOCALHOST.", Kind.LOOPBACK),
        ("127.0.0.1", Kind.LOOPBACK),
        ("127.8.9.10", Kind.LOOPBACK),
        ("0.0.0.0", Kind.LOOPBACK),  # noqa: S104
        ("::1", Kind.LOOPBACK),
        ("host.docker.internal", Kind.DOCKER),
        ("172.17.0.1", Kind.DOCKER),
        ("db", Kind.COMPOSE),
        ("airbyte-db", Kind.COMPOSE),
        ("airbyte-temporal", Kind.COMPOSE),
        ("warehouse", Kind.SHORT_NAME),
        ("warehouse.internal", Kind.PRIVATE_NAME),
        ("nas.local", Kind.PRIVATE_NAME),
        ("10.1.2.3", Kind.PRIVATE_ADDRESS),
        ("192.168.0.7", Kind.PRIVATE_ADDRESS),
        ("fd00::7", Kind.PRIVATE_ADDRESS),
        ("1.1.1.1", None),
        ("warehouse.example.com", None),
        ("localhost.example.com", None),
    ],
)
def test_hosts(host: str, kind: Kind | None) -> None:
    assert judge_host(host) == kind


@pytest.mark.parametrize(
    ("repository", "tag", "kind"),
    [
        ("airbyte/source-postgres", "3.6.1", None),
        ("docker.io/airbyte/source-postgres", "3.6.1", None),
        ("airbyte/source-postgres", "dev", Kind.LOCAL_IMAGE),
        ("airbyte/source-postgres", "3.6.1-dev", Kind.LOCAL_IMAGE),
        ("source-ours", "0.1.0", Kind.LOCAL_IMAGE),
        ("example/source-ours", "0.1.0", Kind.LOCAL_IMAGE),
        ("localhost:5000/source-ours", "0.1.0", Kind.LOCAL_IMAGE),
        ("registry.example.com/team/source-ours", "0.1.0", Kind.OTHER_REGISTRY),
        ("registry.example.com:5000/source-ours", "0.1.0", Kind.OTHER_REGISTRY),
    ],
)
def test_images(repository: str, tag: str, kind: Kind | None) -> None:
    assert judge_image(repository, tag) == kind


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("db", ["db"]),
        ("db:5432", ["db"]),
        ("https://user:planted@nas.local:8443/path", ["nas.local"]),
        ("jdbc:postgresql://airbyte-db:5432/airbyte", ["airbyte-db"]),
        ("kafka-1:9092, kafka-2:9092", ["kafka-1", "kafka-2"]),
        ("mongodb://a.example.com/?x=1", ["a.example.com"]),
        ("[::1]:5432", ["::1"]),
        ("", []),
        ("not a host", []),
        ("http://[broken", []),
    ],
)
def test_hosts_in_a_setting(text: str, found: list[str]) -> None:
    assert list(hosts(text)) == found


def actor(configuration: object, repository: str = "airbyte/source-postgres") -> Actor:
    return Actor(id="1", name="a", repository=repository, tag="1.0.0", configuration=configuration)


@pytest.mark.parametrize(
    ("configuration", "found"),
    [
        ({"host": "localhost", "port": 5432}, [("host", "localhost", Kind.LOOPBACK)]),
        (
            {"tunnel_method": {"tunnel_host": "bastion"}},
            [("tunnel_method.tunnel_host", "bastion", Kind.SHORT_NAME)],
        ),
        (
            {"credentials": [{"host": "db"}], "servers": ["db", "b.example.com"]},
            [("servers", "db", Kind.COMPOSE)],
        ),
        ({"url": "file:///local/a.csv"}, [("url", "a local path", Kind.LOCAL_FILE)]),
        ({"destination_path": "/local/x"}, [("destination_path", "a local path", Kind.LOCAL_FILE)]),
        ({"url": "https://a.example.com/local/x"}, []),
        ({"password": "localhost", "api_url_token": "db", "host_secret": "db"}, []),
        ({"host": {"_secret": "coordinate"}, "user": "db", "schema": "db"}, []),
        (None, []),
        ("localhost", []),
    ],
)
def test_configurations(configuration: object, found: list[tuple[str, str, Kind]]) -> None:
    told = [(item.where, item.what, item.kind) for item in left_behind(actor(configuration))]
    assert told == found


@pytest.mark.parametrize("name", ["csv", "local-json", "sqlite", "duckdb"])
def test_local_destinations_always_leave_files(name: str) -> None:
    (found,) = left_behind(actor({}, f"airbyte/destination-{name}"))
    assert found.kind is Kind.LOCAL_FILE


def test_no_value_is_repeated_but_a_hosts_name() -> None:
    planted = {
        "url": "postgresql://planted-user:planted-password@nas.local/planted-database",
        "path": "/local/planted-file",
        "password": "planted-password",
    }
    told = repr(list(left_behind(actor(planted))))
    assert "nas.local" in told
    assert "planted" not in told


def test_every_kind_has_its_advice() -> None:
    assert set(ADVICE) == set(Kind)
