"""Every version of Airbyte that the program knows, and which chart carries which application."""

from dataclasses import dataclass
from enum import StrEnum, unique

COMPOSE_VERSIONS = tuple(f"0.63.{patch}" for patch in range(9, 20))
"""Releases with the compose file that `airbyte.compose` describes; from 0.63.20 there is none."""

# renovate: datasource=github-releases depName=airbytehq/abctl
ABCTL_VERSION = "0.30.4"
"""v1 charts from 1.8 need 0.30.3 for an ingress that points at the server."""

# renovate: datasource=helm depName=airbyte registryUrl=https://airbytehq.github.io/helm-charts
TARGET_CHART_V1 = "1.8.5"
# renovate: datasource=helm depName=airbyte registryUrl=https://airbytehq.github.io/charts
TARGET_CHART_V2 = "2.0.17"

TARGET_CHART = TARGET_CHART_V1
"""Airbyte 1.8.5 reuses the one data-plane group it finds; 2.0 and later make a second one."""


@unique
class ChartLine(StrEnum):
    """The two Helm charts; they name the same values differently."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One published chart."""

    version: str
    line: ChartLine
    airbyte: str
    """Version of the application that this chart installs by default."""


CHARTS: dict[str, Chart] = {
    chart.version: chart
    for chart in (
        Chart(version=TARGET_CHART_V1, line=ChartLine.V1, airbyte="1.8.5"),
        Chart(version=TARGET_CHART_V2, line=ChartLine.V2, airbyte="1.8.5"),
    )
}
"""Charts whose rendering was read; another one is refused, not tried."""
