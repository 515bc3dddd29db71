"""workload-launcher: claims the workloads of its data plane's group and starts the connectors."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from .client import CallError, call
from .connector import Work, sync
from .runtime import every, log, pause
from .settings import StandinError
from .web import Router, serve, until_stopped

if TYPE_CHECKING:
    from .settings import Settings

HEARTBEAT_SECONDS = 2.0
PLACES = 10


class Launcher:
    """One data plane."""

    def __init__(self, settings: Settings) -> None:
        """Without valid credentials it cannot start."""
        self._settings = settings
        self._places = threading.BoundedSemaphore(PLACES)
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
        """Start all that can be claimed, as many at once as there are places."""
        while self._places.acquire(blocking=False):
            claimed = None
            try:
                claimed = call(f"{self._api}/workload/claim", self._plane)["workload"]
            finally:
                if not claimed:
                    self._places.release()
            if not claimed:
                return
            inputs = json.loads(claimed["input_payload"])
            threading.Thread(
                target=self._run, args=(str(claimed["id"]), inputs), daemon=True
            ).start()

    def _run(self, workload: str, inputs: dict[str, object]) -> None:
        done = threading.Event()
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(workload, done, ended), daemon=True)
        try:
            if not call(f"{self._api}/workload/heartbeat", {"id": workload})["alive"]:
                return
            beat.start()
            result = {"id": workload} | self._sync(inputs, ended)
            call(f"{self._api}/workload/finish", result)
            log(f"workload {workload}: {result['status']}")
        except CallError as error:
            log(f"workload {workload}: {error}")
        finally:
            done.set()
            self._places.release()

    def _sync(self, inputs: dict[str, object], ended: threading.Event) -> dict[str, object]:
        work = Work(**{key: inputs[key] for key in Work.__dataclass_fields__})  # type: ignore[arg-type]
        settings = self._settings
        try:
            last = sync(work, settings.world_url, settings.instance, ended.is_set)
        except StandinError as error:
            return {"status": "failure", "reason": str(error), "last": work.cursor}
        return {"status": "success", "last": last}

    def _beat(self, workload: str, done: threading.Event, ended: threading.Event) -> None:
        """Tell the platform of its life, and hear when it was ended; silence ends nothing."""
        while not done.wait(HEARTBEAT_SECONDS):
            with suppress(CallError):
                if not call(f"{self._api}/workload/heartbeat", {"id": workload})["alive"]:
                    ended.set()
                    return


def run(settings: Settings) -> int:
    """Register, then poll."""
    launcher = Launcher(settings)
    every(settings.poll_seconds, "claim", launcher.turn)
    router = Router()
    router.add("GET", "/health", lambda _request: {"status": "UP"})
    until_stopped(serve(settings.port(8016), router))
    return 0
