"""Which charts there are, and which application each one carries (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from .output import AbctlError

V1_URL = "https://airbytehq.github.io/helm-charts"
V2_URL = "https://airbytehq.github.io/charts"
NEWEST = "2.2.0"

V1_APP_VERSIONS = {
    "0.422.2": "0.63.15",
    "0.429.0": "0.63.15",
    "0.453.2": "0.63.19",
    "0.492.0": "0.63.19",
    "0.493.0": "0.63.20",
    "0.524.0": "0.64.1",
    "1.9.1": "2.0.1-alpha",
    "1.9.2": "2.0.2-alpha",
}
V2_APP_VERSIONS = {
    "2.0.0": "1.6.0",
    "2.0.5": "1.7.0",
    "2.0.9": "1.8.0",
    "2.0.16": "1.8.4",
    "2.0.17": "1.8.5",
    "2.0.18": "2.0.0",
    "2.0.19": "2.0.1",
    "2.1.0": "2.1.0",
    "2.1.1": "2.1.1",
    "2.2.0": "2.2.0",
}


class Line(Enum):
    """The two lines of charts, in two repositories."""

    V1 = "v1"
    V2 = "v2"


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, without its suffix."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of one of the two repositories."""

    version: str
    app_version: str
    line: Line

    @property
    def url(self) -> str:
        """Where abctl fetches it."""
        base = V2_URL if self.line is Line.V2 else V1_URL
        return f"{base}/airbyte-{self.version}.tgz"

    def at_least(self, version: str) -> bool:
        """Compare the chart's version."""
        return numbers(self.version) >= numbers(version)


def resolve(path: str, version: str) -> Chart:
    """Find the chart that the flags name."""
    if path:
        msg = (
            f"failed to set chart defaults: failed to resolve chart flags: failed to get helm "
            f"chart metadata for reference {path}: the lab's abctl has no chart files"
        )
        raise AbctlError(msg)
    version = version or NEWEST
    plain = version.removeprefix("v")
    line = Line.V2 if numbers(plain) >= (2, 0, 0) else Line.V1
    known = V2_APP_VERSIONS if line is Line.V2 else V1_APP_VERSIONS
    app = known.get(version)
    if app is None and line is Line.V1 and re.fullmatch(r"1\.[0-8]\.\d+", version):
        app = version
    url = Chart(version=version, app_version="", line=line).url
    if app is None:
        msg = (
            "unable to install airbyte chart: unable to fetch helm chart "
            f'"airbyte/airbyte": failed to fetch {url} : 404 Not Found'
        )
        raise AbctlError(msg)
    chart = Chart(version=version, app_version=app, line=line)
    if numbers(app) < (1, 8):
        msg = f"lab: chart {version} exists, but the stand-in plays app 1.8.0 and newer only"
        raise AbctlError(msg)
    return chart
