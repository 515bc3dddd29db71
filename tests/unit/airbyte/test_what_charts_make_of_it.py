"""Our values through the lab's charts, which are made from the facts and know nothing of ours."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from airbyte import chart_secrets
from lab.abctl import charts, commands, values
from lab.abctl.kong import Parser
from lab.abctl.render import Rendered, Renderer
from tests.unit.airbyte.wishes import GOLDEN

FOLDERS = sorted({path.parent.relative_to(GOLDEN) for path in GOLDEN.rglob("values.yaml")})
CONFIG = chart_secrets.config_secret(user="u", password="p")


@pytest.fixture(params=FOLDERS, ids=str)
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def rendered(folder: Path, tmp_path: Path) -> Rendered:
    flags = (GOLDEN / folder / "install.args").read_text().split()
    words = ["local", "install", *flags, "--values", str(GOLDEN / folder / "values.yaml")]
    _, parsed = Parser(commands.ROOT, {}).parse(words)
    chart = charts.resolve("", parsed["chart-version"])
    return Renderer(chart, values.build(parsed, chart, tmp_path)).render()


def environment(workload: dict[str, Any]) -> dict[str, Any]:
    spec = workload["spec"].get("template", {}).get("spec", workload["spec"])
    return {entry["name"]: entry for entry in spec["containers"][0]["env"]}


def test_every_pod_finds_its_database(rendered: Rendered) -> None:
    assert rendered.config_map["data"]["DATABASE_URL"] == "jdbc:postgresql://10.0.0.13:5432/airbyte"
    assert rendered.config_map["data"]["API_AUTHORIZATION_ENABLED"] == "true"
    assert rendered.config_map["data"]["STORAGE_TYPE"] == "local"


def test_every_key_of_a_secret_is_there(rendered: Rendered) -> None:
    """14: a pod whose Secret lacks a key never starts."""
    workloads = [*rendered.deployments, *([rendered.bootloader] if rendered.bootloader else [])]
    wanted = {
        entry["valueFrom"]["secretKeyRef"]["key"]
        for workload in workloads
        for entry in environment(workload).values()
        if entry.get("valueFrom", {}).get("secretKeyRef", {}).get("name")
        == "airbyte-config-secrets"
    }
    assert wanted == set(CONFIG["stringData"])


def test_temporal_speaks_tls_when_the_server_does(rendered: Rendered, folder: Path) -> None:
    (temporal,) = (
        one for one in rendered.deployments if one["metadata"]["name"].endswith("-temporal")
    )
    expected = "true" if folder.parts[1] == "tls" else "false"
    assert environment(temporal)["SQL_TLS_ENABLED"]["value"] == expected


def test_what_runs_is_what_the_rendering_says(rendered: Rendered, folder: Path) -> None:
    running = {
        one["metadata"]["name"].removeprefix("airbyte-abctl-")
        for one in rendered.deployments
        if one["spec"]["replicas"]
    }
    starters = {"worker", "cron", "workload-launcher"}
    every = {one["metadata"]["name"].removeprefix("airbyte-abctl-") for one in rendered.deployments}
    expected = {"active": every, "standby": every - starters, "prepared": set()}
    assert running == expected[folder.name]
    assert (rendered.bootloader is None) is (folder.name == "prepared")


def test_a_v2_bootloader_is_told_the_migrated_group(rendered: Rendered, folder: Path) -> None:
    """16: with another name no workload is ever claimed."""
    named = rendered.config_map["data"].get("DEFAULT_DATAPLANE_GROUP_NAME")
    assert named == (None if folder.parts[0].startswith("1.") else "AUTO")


def test_golden_files_are_what_helm_reads(folder: Path) -> None:
    assert isinstance(yaml.safe_load((GOLDEN / folder / "values.yaml").read_text()), dict)
