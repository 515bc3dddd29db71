"""The settings key by key, before they are judged."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from stages.database_models import CoreWorkerSettings, DatabaseSettings, IntermediarySettings
from stages.models import (
    Abctl,
    AbctlSha256,
    CutOverWish,
    Drain,
    Feed,
    HostSettings,
    Operator,
    Prod,
    ProdAbctl,
    Replica,
    SchedulesSettings,
    Stage,
)


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What could not be read is None or empty."""

    stage: Stage | None
    deployment: str
    operator: Operator | None
    hosts: Mapping[str, HostSettings]
    host_names: Collection[str]
    """All of them, also those with a mistake inside."""
    images_file: str | None
    images: Mapping[str, Any] | None
    prod: Prod | None
    core_worker: CoreWorkerSettings | None
    replica: Replica | None
    feeds: list[Feed]
    feeds_complete: bool
    """Whether each of them could be read."""
    intermediary: IntermediarySettings | None
    prod_abctl: ProdAbctl | None
    cutover: CutOverWish | None
    drain: Drain | None
    schedules: SchedulesSettings | None
    abctl_sha256: AbctlSha256 | None

    @property
    def servers(self) -> dict[str, DatabaseSettings]:
        """Database servers by their key."""
        found = {"coreWorker": self.core_worker, "intermediary": self.intermediary}
        return {key: server for key, server in found.items() if server is not None}

    @property
    def abctls(self) -> dict[str, Abctl]:
        """Airbytes on abctl by their key."""
        found = {"replica": self.replica, "prodAbctl": self.prod_abctl}
        return {key: airbyte for key, airbyte in found.items() if airbyte is not None}
