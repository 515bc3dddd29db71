"""A host without SSH, `hostctl` and containers: files are what it remembers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db_migration.errors import BlockedError, UnreachableError
from tests.support import timeouts
from tests.support.fix_postgres import PgServer, wait_for


@dataclass(frozen=True)
class FakeHost:
    """A host as `hostctl` shows it; its Airbytes are flags that writers look at."""

    folder: Path
    name: str
    prod: PgServer

    def run(self, verb: str) -> str:
        if (self.folder / "unreachable").exists():
            raise UnreachableError(found=f"{self.name} is away", needed="it", way_out="mend it")
        match verb.split():
            case ["status"]:
                return self._status()
            case ["stop", "airbyte"]:
                self._flag("compose").unlink(missing_ok=True)
                self._wait_for_silence()
            case ["start", "airbyte"]:
                self._flag("compose").touch()
            case ["stop" | "start", "abctl"]:
                pass
            case ["activate", instance, number, rendering]:
                self._activate(instance, int(number), rendering)
            case _:
                raise AssertionError(verb)
        return ""

    def _flag(self, name: str) -> Path:
        return self.folder / f"{name}.runs"

    def _wait_for_silence(self) -> None:
        query = "SELECT FROM pg_stat_activity WHERE application_name = 'compose'"
        wait_for(lambda: not self.prod.sql(query), timeouts.SERVER_STOP, every=0.01)

    def _activate(self, instance: str, number: int, rendering: str) -> None:
        if rendering.startswith("active-") and (self.folder / "no-activation").exists():
            raise BlockedError(found="helm gave up", needed="helm", way_out="read its log")
        known = self._instances()[instance]
        assert number >= known["epoch"], "hostctl refuses an older epoch"
        runs = rendering.startswith("active-")
        whole = {**self._instances(), instance: {"epoch": number, "rendering": rendering}}
        (self.folder / "instances.json").write_text(json.dumps(whole))
        self._flag("abctl").touch() if runs else self._flag("abctl").unlink(missing_ok=True)

    def _instances(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "instances.json").read_text())
        return found

    def _status(self) -> str:
        runs = self._flag("compose").exists()
        instances = [
            {"name": name, **known, "running": known["rendering"].startswith("active-")}
            for name, known in self._instances().items()
        ]
        compose = "running" if runs else "stopped"
        return json.dumps({"host": self.name, "compose": compose, "instances": instances})
