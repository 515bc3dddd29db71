"""workload-launcher: claims the workloads of its data plane's group and starts the connectors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .client import CallError, call
from .connector import Work, sync
from .runtime import every, log, pause
from .settings import StandinError
from .web import Router, serve, until_stopped

if TYPE_CHECKING:
    from .settings import Settings


class Launcher:
    """One data plane."""

    def __init__(self, settings: Settings) -> None:
        """Without valid credentials it cannot start."""
        self._settings = settings
        host = settings.env.get("WORKLOAD_API_HOST", "http://localhost:8007")
        self._api = host.rstrip("/") + "/api/v1"
        credentials = {
            "client_id": settings.env.get("DATAPLANE_CLIENT_ID"),
            "client_secret": settings.env.get("DATAPLANE_CLIENT_SECRET"),
        }
        while True:
            try:
                self._plane = call(f"{self._api}/dataplanes/initialize", credentials)
            except CallError as error:
                if "answered 401" in str(error) or pause(2):
                    raise
            else:
                log(f"registered as data plane {self._plane}")
                return

    def turn(self) -> None:
        """Run all that can be claimed."""
        while True:
            claimed = call(f"{self._api}/workload/claim", self._plane)["workload"]
            if not claimed:
                return
            self._run(str(claimed["id"]), json.loads(claimed["input_payload"]))

    def _run(self, workload: str, inputs: dict[str, object]) -> None:
        if not call(f"{self._api}/workload/heartbeat", {"id": workload})["alive"]:
            return
        work = Work(**{key: inputs[key] for key in Work.__dataclass_fields__})  # type: ignore[arg-type]
        result: dict[str, object] = {"id": workload, "status": "success", "last": work.cursor}
        try:
            result["last"] = sync(work, self._settings.world_url, self._settings.instance)
        except StandinError as error:
            result |= {"status": "failure", "reason": str(error)}
        call(f"{self._api}/workload/finish", result)
        log(f"workload {workload}: {result['status']}")


def run(settings: Settings) -> int:
    """Register, then poll."""
    launcher = Launcher(settings)
    every(settings.poll_seconds, "claim", launcher.turn)
    router = Router()
    router.add("GET", "/health", lambda _request: {"status": "UP"})
    until_stopped(serve(settings.port(8016), router))
    return 0
