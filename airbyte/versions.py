"""Every version that the program knows, and what may follow what (airbyte-facts 0, 6)."""

import re
from dataclasses import dataclass
from enum import StrEnum, unique

COMPOSE_VERSIONS = tuple(f"0.63.{patch}" for patch in range(9, 20))
"""Releases with the compose file that `airbyte.compose` describes; from 0.63.20 there is none."""

# renovate: datasource=github-releases depName=airbytehq/abctl
ABCTL_VERSION = "0.30.4"

# renovate: datasource=helm depName=airbyte registryUrl=https://airbytehq.github.io/helm-charts
TARGET_CHART_V1 = "1.8.5"
# The v2 chart with the same application; a newer one is another application: no renovate line.
TARGET_CHART_V2 = "2.0.17"
# renovate: datasource=helm depName=airbyte registryUrl=https://airbytehq.github.io/charts
NEWEST_CHART = "2.2.0"

TARGET_CHART = TARGET_CHART_V1
"""Airbyte 1.8.5 reuses the one data-plane group it finds; 2.0 and later make a second one."""

POSTGRES_MAJORS = range(13, 18)
"""Airbyte needs 13 and is tested up to 17 (airbyte-facts 3.1)."""

STOPS = ("0.32.0-alpha", "0.37.0-alpha")
"""A database older than one of these must run it first (airbyte-facts 6, the upgrade gate)."""


@unique
class ChartLine(StrEnum):
    """The two Helm charts; they name the same values differently."""

    V1 = "v1"
    V2 = "v2"


class VersionError(ValueError):
    """A version that can not be used; carries what was found and what is needed."""

    def __init__(self, *, found: str, needed: str) -> None:
        """Keep both; the way out is the caller's, who knows the setting."""
        super().__init__(f"found {found}; needed: {needed}")
        self.found = found
        self.needed = needed


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers without its suffix; raise VersionError when it has none."""
    match = re.fullmatch(r"v?(\d+(?:\.\d+)*)(?:[-+].*)?", version)
    if match is None:
        raise VersionError(found=f"version `{version}`", needed="numbers with dots, as in 1.8.5")
    return tuple(int(part) for part in match[1].split("."))


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One published chart."""

    version: str
    airbyte: str
    """Version of the application that this chart installs by default."""

    @property
    def line(self) -> ChartLine:
        """Return which of the two it is: abctl decides by the version alone (2.2)."""
        return ChartLine.V2 if self.at_least("2.0.0") else ChartLine.V1

    @property
    def minimum_abctl(self) -> str:
        """Return the oldest abctl that installs it rightly (airbyte-facts 6)."""
        if numbers(self.airbyte) >= (2, 0):
            return "0.30.2"
        # v1 from 1.8 on: older ones lead the ingress to a web app that is gone.
        return "0.30.0" if self.line is ChartLine.V2 else "0.30.3"

    def at_least(self, version: str) -> bool:
        """Compare the chart's own version."""
        return numbers(self.version) >= numbers(version)


CHARTS: dict[str, Chart] = {
    chart.version: chart
    for chart in (
        Chart(version=TARGET_CHART_V1, airbyte="1.8.5"),
        Chart(version=TARGET_CHART_V2, airbyte="1.8.5"),
        Chart(version=NEWEST_CHART, airbyte="2.2.0"),
    )
}
"""Charts whose rendering was read."""


def chart(version: str, *, airbyte: str | None = None) -> Chart:
    """Return a chart; `airbyte` is the owner's word on what an unknown one carries.

    Raises:
        VersionError: it is unknown and nobody vouches for it, or the word contradicts what is
            known, or the pinned abctl is too old for it.
    """
    known = CHARTS.get(version)
    if known is None and airbyte is None:
        needed = f"a chart whose rendering is known: {', '.join(CHARTS)}; or your word on it"
        raise VersionError(found=version, needed=needed)
    if known is not None and airbyte not in (None, known.airbyte):
        word = f"Airbyte {airbyte} in chart {version}"
        raise VersionError(found=word, needed=f"Airbyte {known.airbyte}")
    found = known or Chart(version=version, airbyte=str(airbyte))
    if numbers(found.airbyte) < (1, 8):
        needed = "1.8 or newer: older charts have a web app"
        raise VersionError(found=f"Airbyte {found.airbyte}", needed=needed)
    check_abctl(found, ABCTL_VERSION)
    return found


def check_abctl(chart: Chart, version: str) -> None:
    """Raise VersionError when `version` of abctl is too old for the chart."""
    if numbers(version) < numbers(chart.minimum_abctl):
        needed = f"{chart.minimum_abctl} or newer for chart {chart.version}"
        raise VersionError(found=f"abctl {version}", needed=needed)


def stops(source: str, target: str) -> tuple[str, ...]:
    """Return the releases that a database of `source` must run on its way to `target`.

    Raises:
        VersionError: `target` is older: no code of Airbyte guards against that, the bootloader
            overwrites the version and the old application breaks (airbyte-facts 6).
    """
    if numbers(target) < numbers(source):
        raise VersionError(
            found=f"Airbyte {target} for a database of Airbyte {source}",
            needed=f"{source} or newer: an older Airbyte breaks on a migrated database",
        )
    return tuple(stop for stop in STOPS if numbers(source) < numbers(stop) <= numbers(target))
