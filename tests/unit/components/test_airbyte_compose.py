"""Prod as compose has it: made by us, or read and left alone."""

import json
from typing import Any

import pytest

from airbyte import images
from airbyte.compose import SERVICES, VolumeName
from airbyte.inspection import CONTAINERS
from components import AirbyteCompose, AirbyteComposeArgs, ProdMode
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts

DATABASE, BASIC_AUTH = "planted-database", "planted-basic-auth"
DIGEST = "@sha256:" + "0" * 64


def declare(mode: ProdMode = ProdMode.CREATE, recorder: Recorder | None = None) -> Recorder:
    def build() -> None:
        AirbyteCompose(
            "airbyte-prod",
            AirbyteComposeArgs(
                host=hosts.host("prod", 1),
                mode=mode,
                project="airbyte",
                version="0.63.15",
                port=8080,
                url=None,
                images={key: f"{key}{DIGEST}" for key in images.COMPOSE},
                database_password=hosts.secret(DATABASE),
                basic_auth_password=hosts.secret(BASIC_AUTH),
            ),
        )

    return mocks.declare(build, recorder=recorder)


@pytest.fixture(scope="module")
def created() -> Recorder:
    return declare()


def environment(container: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in container["envs"])


def test_every_service_is_a_container_with_its_image(created: Recorder) -> None:
    for service in SERVICES:
        container = created.named(f"airbyte-prod-{service.name}")
        assert container.parent == created.named("airbyte-prod").urn
        assert container.inputs["name"] == service.container_name
        assert container.inputs["image"] == f"sha256:airbyte-prod-{service.name}-image"
        assert container.inputs["restart"] == service.restart
        image = created.named(f"airbyte-prod-{service.name}-image")
        assert image.inputs["name"] == f"{service.image}{DIGEST}"


def test_networks_and_volumes_have_the_known_names(created: Recorder) -> None:
    networks = {network.inputs["name"] for network in created.of("Network")}
    assert networks == {"airbyte_airbyte_internal", "airbyte_airbyte_public"}
    assert {volume.inputs["name"] for volume in created.of("Volume")} == set(VolumeName)
    for volume in created.of("Volume"):
        assert volume.protect
        assert volume.retain_on_delete


def test_services_resolve_each_other_by_name(created: Recorder) -> None:
    for service in SERVICES:
        joined = created.named(f"airbyte-prod-{service.name}").inputs["networksAdvanced"]
        assert [network["aliases"] for network in joined] == [[service.name]] * len(joined)


def test_passwords_are_sealed_and_reach_who_needs_them(created: Recorder) -> None:
    database = created.named("airbyte-prod-db")
    proxy = created.named("airbyte-prod-airbyte-proxy")
    assert environment(database.inputs)["POSTGRES_PASSWORD"] == DATABASE
    assert environment(proxy.inputs)["BASIC_AUTH_PASSWORD"] == BASIC_AUTH
    for resource in created.resources:
        text = json.dumps(resource.sealed)
        assert DATABASE not in text, resource.name
        assert BASIC_AUTH not in text, resource.name


def test_the_webapp_is_published_where_the_settings_say(created: Recorder) -> None:
    ports = created.named("airbyte-prod-airbyte-proxy").inputs["ports"]
    assert [(port["internal"], port["external"]) for port in ports] == [
        (8000, 8080),
        (8001, 8001),
        (8003, 8003),
        (8006, 8006),
    ]
    assert created.outputs_of("airbyte-prod")["url"] == "http://192.0.2.1:8080"


def test_dependents_wait_until_a_one_shot_has_ended_well(created: Recorder) -> None:
    for one_shot, dependent in (("init", "bootloader"), ("bootloader", "server")):
        completed = created.named(f"airbyte-prod-{one_shot}-completed")
        container = created.named(f"airbyte-prod-{one_shot}")
        assert completed.urn in created.named(f"airbyte-prod-{dependent}").dependencies
        assert container.urn in completed.dependencies
        # The id makes a new container be waited for again.
        assert completed.inputs["create"].endswith(f"{container.name}-id")


def test_the_database_is_ready_before_anybody_uses_it(created: Recorder) -> None:
    database = created.named("airbyte-prod-db")
    assert database.inputs["wait"] is True
    assert "-h 127.0.0.1" in database.inputs["healthcheck"]["tests"][1]
    assert database.inputs["destroyGraceSeconds"] >= 60
    assert database.urn in created.named("airbyte-prod-bootloader").dependencies


ADOPTED = {"version": "0.63.15", "network": "mine_airbyte_internal", "databaseVolume": "v"}


def test_adopting_reads_and_touches_nothing() -> None:
    recorder = Recorder(stdout={"airbyte-prod-inspection": json.dumps(ADOPTED)})
    recorded = declare(ProdMode.ADOPT, recorder)
    assert recorded.children("airbyte-prod") == {"airbyte-prod-inspection"}
    assert recorded.of("Container", "Volume", "Network", "RemoteImage") == []
    inspection = recorded.named("airbyte-prod-inspection")
    assert inspection.inputs["create"].startswith("bash -s -- 0.63.15 airbyte-")
    assert inspection.inputs["create"].endswith(" # v1")
    assert set(CONTAINERS) <= set(inspection.inputs["create"].split())
    assert "delete" not in inspection.inputs
    assert recorded.outputs_of("airbyte-prod")["network"] == "mine_airbyte_internal"
