"""How server and worker speak with Temporal about connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import call

if TYPE_CHECKING:
    from .settings import Settings

PREFIX = "connection_manager_"
TEMPORAL_SECONDS = 10.0


class Scheduler:
    """A client of Temporal."""

    def __init__(self, settings: Settings) -> None:
        """Connect lazily, as Airbyte does."""
        self._url = settings.temporal_url

    def touch(self, connection_id: str, signal: str = "connection_updated") -> bool:
        """Signal a connection's workflow; return True when it had to be started."""
        body = {"workflowId": PREFIX + connection_id, "signal": signal}
        return bool(self._post("/workflows/signal", body)["started"])

    def forget(self, connection_id: str) -> None:
        """End the workflow of a connection that is deleted."""
        self._post("/workflows/terminate", {"workflowId": PREFIX + connection_id})

    def workflows(self) -> list[dict[str, Any]]:
        """List all workflows that run."""
        return list(call(self._url + "/workflows", seconds=TEMPORAL_SECONDS)["executions"])

    def ready(self) -> bool:
        """Say whether namespace `default` is there; raises while Temporal is away."""
        return bool(call(self._url + "/namespaces/default", seconds=TEMPORAL_SECONDS))

    def progress(self, workflow: dict[str, Any], phase: str, **more: object) -> bool:
        """Report a step; False when somebody else has taken or restarted the workflow."""
        body = {"workflowId": workflow["workflow_id"], "runId": workflow["run_id"], "phase": phase}
        return bool(self._post("/workflows/progress", body | more)["accepted"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return call(self._url + path, body, seconds=TEMPORAL_SECONDS)
