"""The table of compose services: names and ports that others rely on, and an order that works."""

import pytest

from airbyte import compose, compose_env, images
from airbyte.compose import SERVICES, Service


def test_containers_have_the_names_of_the_compose_file() -> None:
    assert {service.container_name for service in SERVICES} == {
        "airbyte-docker-proxy",
        "init",
        "airbyte-bootloader",
        "airbyte-db",
        "airbyte-worker",
        "airbyte-server",
        "airbyte-webapp",
        "airbyte-temporal",
        "airbyte-cron",
        "airbyte-connector-builder-server",
        "airbyte-proxy",
    }


def test_volumes_have_the_names_of_the_env_file() -> None:
    assert set(compose.VolumeName) == {
        "airbyte_db",
        "airbyte_workspace",
        "airbyte_data",
        "oss_local_root",
    }


def test_every_service_comes_after_those_it_needs() -> None:
    started: set[str] = set()
    for service in SERVICES:
        assert set(service.after) <= started, service.name
        started.add(service.name)


def test_every_image_is_one_that_the_settings_ask_for() -> None:
    assert {service.image for service in SERVICES} == set(images.COMPOSE)


def test_only_the_proxy_publishes_ports() -> None:
    """Compose publishes Docker's API and an API without a password on random ports: we do not."""
    assert {service.name: service.ports for service in SERVICES if service.ports} == {
        "airbyte-proxy": (8000, 8001, 8003, 8006)
    }


def test_the_database_is_stopped_last_and_with_patience() -> None:
    assert "airbyte-db" not in compose.STOP_ORDER
    assert compose.STOP_ORDER[0] == "airbyte-proxy"
    assert compose.STOP_ORDER.index("airbyte-server") < compose.STOP_ORDER.index("airbyte-temporal")
    assert compose.BY_NAME["db"].stop_seconds >= 60


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_one_shots_are_not_restarted_and_daemons_are(service: Service) -> None:
    if service.one_shot or service.name == "docker-proxy":
        assert service.restart == "no"
    else:
        assert service.restart == "unless-stopped"


def test_secrets_of_the_env_file_have_no_default() -> None:
    assert compose_env.SECRET_KEYS.isdisjoint(compose_env.DEFAULTS)


def test_applications_read_the_url_and_temporal_host_and_port() -> None:
    values = compose_env.dotenv(version="0.63.15", webapp_url="http://a/")
    server = compose_env.environment(compose.BY_NAME["server"], values)
    temporal = compose_env.environment(compose.BY_NAME["airbyte-temporal"], values)
    assert server["DATABASE_URL"] == "jdbc:postgresql://db:5432/airbyte"
    assert (temporal["POSTGRES_SEEDS"], temporal["DB_PORT"]) == ("db", "5432")
    assert temporal["DB"] == "postgresql"
    assert server["SECRET_PERSISTENCE"] == "TESTING_CONFIG_DB_TABLE"
    assert server["AIRBYTE_VERSION"] == "0.63.15"


def test_what_the_env_file_lacks_is_empty() -> None:
    values = compose_env.dotenv(version="0.63.15", webapp_url="http://a/")
    worker = compose_env.environment(compose.BY_NAME["worker"], values)
    assert worker["CONFIG_DATABASE_URL"] == ""
    assert worker["DOCKER_HOST"] == "docker-proxy:2375"
