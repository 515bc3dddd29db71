"""What an installed Airbyte may do, and which of a chart's Deployments run for it."""

from dataclasses import dataclass
from enum import StrEnum, unique

from airbyte.versions import Chart, ChartLine


@unique
class Rendering(StrEnum):
    """What an installed Airbyte may do."""

    STANDBY = "standby"
    """It answers, on a copy: nothing that starts a sync runs."""
    ACTIVE = "active"
    PREPARED = "prepared"
    """Installed, but nothing runs and nothing connects to a database."""

    def on(self, server: str) -> str:
        """Return the name of this rendering on the database of `server`."""
        return self if self is Rendering.PREPARED else f"{self}-{server}"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One Deployment of the chart, under the key that each chart line uses (airbyte-facts 3.3)."""

    v1: str
    """Empty where the line has none."""
    v2: str
    syncs: bool = False
    """It starts, claims or repeats syncs: one of them on a copy writes destinations twice."""
    since: str = "0"
    """First chart that has it."""
    before: str = "99"
    """First chart that has it no more."""

    def key(self, line: ChartLine) -> str:
        """Return the top-level key of the values file."""
        return self.v1 if line is ChartLine.V1 else self.v2

    def is_in(self, chart: Chart) -> bool:
        """Whether the chart has it."""
        within = chart.at_least(self.since) and not chart.at_least(self.before)
        return within and bool(self.key(chart.line))


ALL = (
    Component(v1="server", v2="server"),
    Component(v1="temporal", v2="temporal"),
    Component(v1="workload-api-server", v2="workloadApiServer"),
    Component(v1="connector-builder-server", v2="connectorBuilderServer", before="2.1.0"),
    Component(v1="", v2="manifestServer", since="2.1.0"),
    Component(v1="worker", v2="worker", syncs=True),
    Component(v1="cron", v2="cron", syncs=True),
    Component(v1="workload-launcher", v2="workloadLauncher", syncs=True),
)
BOOTLOADER = Component(v1="airbyte-bootloader", v2="airbyteBootloader")


def components(chart: Chart) -> tuple[Component, ...]:
    """Return the Deployments that the chart makes by default."""
    return tuple(component for component in ALL if component.is_in(chart))
