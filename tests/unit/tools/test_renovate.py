"""Every pin has a line that says where its next version comes from, and renovate.json reads it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from airbyte import versions

ROOT = Path(__file__).resolve().parents[3]
MANAGER = json.loads((ROOT / "renovate.json").read_text())["customManagers"][0]
PATTERN = re.compile(MANAGER["matchStrings"][0].replace("(?<", "(?P<"))
STACKS = ("Pulumi.v0.yaml", "Pulumi.v1.yaml", "Pulumi.v2.yaml")
CHARTS = "https://airbytehq.github.io"


def pins(file: str) -> list[tuple[str, str, str | None]]:
    """Return name, value and registry of every pin that Renovate finds in a file."""
    assert any(re.search(text.strip("/"), file) for text in MANAGER["managerFilePatterns"])
    found = PATTERN.finditer((ROOT / file).read_text())
    return [(one["depName"], one["currentValue"], one["registryUrl"]) for one in found]


def test_airbytes_versions() -> None:
    assert pins("airbyte/versions.py") == [
        ("airbytehq/abctl", versions.ABCTL_VERSION, None),
        ("airbyte", versions.TARGET_CHART_V1, f"{CHARTS}/helm-charts"),
        ("airbyte", versions.NEWEST_CHART, f"{CHARTS}/charts"),
    ]


def test_the_real_abctl_is_built_of_the_same_pin() -> None:
    assert pins("tools/abctl_gomod/go.mod") == [("airbytehq/abctl", versions.ABCTL_VERSION, None)]


@pytest.mark.parametrize("stack", STACKS)
def test_stack_files(stack: str) -> None:
    """Compose's own release has none on purpose: nothing newer has a compose file."""
    config = yaml.safe_load((ROOT / stack).read_text())["config"]
    charts = list(chart_versions(config))
    registry = f"{CHARTS}/helm-charts"
    assert pins(stack) == [("airbyte", chart, registry) for chart in charts]
    assert len(charts) == STACKS.index(stack)


def chart_versions(config: dict[str, object]) -> Iterator[str]:
    for part in config.values():
        if isinstance(part, dict) and "chartVersion" in part:
            yield part["chartVersion"]


def test_the_engines_pins() -> None:
    text = (ROOT / "engine/pins.toml").read_text()
    assert len(pins("engine/pins.toml")) == text.count("# renovate: datasource=")
