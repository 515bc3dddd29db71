"""Hosts that die: two servers, two Airbytes with an API, and writers whose ids are counted.

What a host believes lies in files, so that a failover that is killed finds it again; the Airbytes
live in the test's process, each as long as its host lives and says that it runs.
"""

# size: one world, its hosts, and what may befall them

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from db_migration.config import CutoverConfig, InstanceConfig
from db_migration.context import Context
from db_migration.errors import UnreachableError
from db_migration.failback.failback import failback
from db_migration.failover.failover import Failover
from db_migration.failover.steps import Report
from db_migration.following import marks
from db_migration.rebuild import rebuild
from db_migration.rehearsal import rehearse
from db_migration.sides import admission, epoch, servers
from db_migration.sides.epoch import Epoch
from db_migration.sides.hosts import HostControl
from tests.support import timeouts
from tests.support.deployment import COMMON, INTERMEDIARY, KEEPER, NEW, OLD, REPLICA, Deployment
from tests.support.fake_airbyte import FakeAirbyte
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.scenario import PASSWORDS

HOST_OF = {OLD: "prod", NEW: "prod", REPLICA: "replica"}
ROLES = {NEW: "airbyte_prod", REPLICA: "airbyte_replica"}
DURABLE = "options='-c synchronous_commit=on'"
"""What a test's server has acknowledged must be there after `kill -9`."""
CUT_OVER = Epoch(1, INTERMEDIARY, NEW, "cut-over")


@dataclass(frozen=True)
class CrashHost:
    """A host as `hostctl` shows it."""

    world: CrashWorld
    name: str

    def run(self, verb: str) -> str:
        if (self.world.folder / f"{self.name}.dead").exists():
            raise UnreachableError(
                found=f"{self.name}: Connection timed out", needed="it", way_out="mend it"
            )
        with (self.world.folder / "verbs").open("a") as out:
            out.write(f"{self.name}: {verb}\n")
        instances = self.world.instances()
        mine = [name for name in instances if HOST_OF[name] == self.name]
        match verb.split():
            case ["status"]:
                return self._status(mine)
            case ["stop", "abctl"]:
                self.world.tell(mine[0], running=False)
            case ["start", "abctl"]:
                self.world.tell(mine[0], running=instances[mine[0]]["rendering"] != "stopped")
            case ["activate", instance, number, rendering]:
                assert int(number) >= instances[instance]["epoch"], "hostctl refuses an old epoch"
                runs = rendering not in {"stopped", "prepared"}
                self.world.tell(instance, epoch=int(number), rendering=rendering, running=runs)
            case ["stop", "airbyte"]:
                (self.world.folder / "compose.runs").unlink(missing_ok=True)
            case ["start", "airbyte"]:
                (self.world.folder / "compose.runs").touch()
            case _:
                raise AssertionError(verb)
        return ""

    def _status(self, mine: list[str]) -> str:
        whole = self.world.instances()
        runs = (self.world.folder / "compose.runs").exists()
        compose = ("running" if runs else "stopped") if self.name == "prod" else "none"
        listed = [{"name": name, **whole[name]} for name in mine]
        return json.dumps({"host": self.name, "compose": compose, "instances": listed})


@dataclass
class CrashWorld(Deployment):
    """v2 after its cut-over or before it, or v1 with prod on compose."""

    stage: str = "v2"
    ports: dict[str, int] = field(default_factory=dict)
    airbytes: list[FakeAirbyte] = field(default_factory=list)
    writing: threading.Event = field(default_factory=threading.Event)
    acknowledged_ids: list[int] = field(default_factory=list)

    def host(self, instance: InstanceConfig) -> HostControl:
        return CrashHost(self, instance.host)

    def instances(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "instances.json").read_text())
        return found

    def tell(self, instance: str, **change: object) -> None:
        with (self.folder / "instances.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            whole = self.instances()
            self._believe({**whole, instance: {**whole[instance], **change}})

    def verbs(self) -> list[str]:
        path = self.folder / "verbs"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.endswith("status")]

    def _config(self, here: str) -> dict[str, Any]:
        whole = super()._config(here)
        (self.folder / "client").write_text("planted-client-secret")
        for instance in whole["instances"]:
            instance["host_control"] = self._unused()
            if instance["name"] in self.ports:
                instance["url"] = f"http://127.0.0.1:{self.ports[instance['name']]}"
                instance["client_id"] = "airbyte-migration"
                instance["client_secret_file"] = str(self.folder / "client")
        if self.stage == "before":
            return {**whole, "verify_every_seconds": 2}
        for feed in whole["feeds"]:
            feed["working_database"] = {"name": "airbyte", "owner_role": "airbyte"}
        if self.stage == "v1":
            whole["servers"] = [one for one in whole["servers"] if one["name"] == KEEPER]
            whole["instances"] = [one for one in whole["instances"] if one["name"] != NEW]
            whole["feeds"] = whole["feeds"][:1] if here == KEEPER else []
        return {**whole, "verify_every_seconds": 2, "cutover": None}

    def _unused(self) -> dict[str, Any]:
        file = str(self.folder / "client")
        return {"address": "127.0.0.1", "key_file": file, "known_hosts_file": file}

    def start_v2(self) -> None:
        """Prod runs on the intermediary, core-worker-01's mirror follows, the replica stands by."""
        active = {"epoch": 1, "rendering": f"active-{INTERMEDIARY}", "running": True}
        self._start("v2", self._make_v2, (INTERMEDIARY, KEEPER), {NEW: active})
        (self.folder / "verbs").unlink(missing_ok=True)

    def _make_v2(self) -> None:
        self.prod.sql("ALTER DATABASE airbyte ALLOW_CONNECTIONS false")
        config = self.config()
        with self.intermediary.connect("airbyte") as connection:
            connection.execute("SET ROLE airbyte")
            connection.execute(COMMON.read_text().encode())
        with servers.control(config.servers[1]).connect() as connection:
            marks.write_active(connection, "airbyte", 1, "cut-over")
        epoch.advance(config, CUT_OVER, [INTERMEDIARY, KEEPER])
        admission.admit(config.servers[1], config.roles, ROLES[NEW])

    def start_v1(self) -> None:
        """Prod runs on compose, core-worker-01's mirror follows, the replica stands by."""
        self._start("v1", lambda: None, ("prod", KEEPER), {})

    def start_before_cut_over(self) -> None:
        """Prod runs on compose, both mirrors follow and are verified, the replica stands by."""
        prepared = {"epoch": 0, "rendering": "prepared", "running": False}
        self._start("before", lambda: None, ("prod", KEEPER), {NEW: prepared})
        self.until_following()

    def _start(
        self, stage: str, make: Callable[[], None], feed: tuple[str, str], instances: dict[str, Any]
    ) -> None:
        """Let the Airbytes and the agents of a stage run until the feed is redundant."""
        self.stage = stage
        self._lay_files()
        self._start_airbytes()
        standing_by = {"epoch": 0, "rendering": f"standby-{KEEPER}", "running": True}
        self._believe({REPLICA: standing_by, **instances})
        if stage == "v2":
            (self.folder / "compose.runs").unlink()

        def come() -> None:
            self._empty_servers()
            make()
            self.start_agents()
            self.until_redundant(*feed)

        self.reach(f"{type(self).__name__}-{stage}", come)
        self.until_redundant(*feed)

    def _believe(self, instances: dict[str, Any]) -> None:
        new = self.folder / f"instances.{threading.get_ident()}"
        new.write_text(json.dumps(instances))
        new.rename(self.folder / "instances.json")

    def _start_airbytes(self) -> None:
        self._believe({})
        for name, role in ROLES.items():
            airbyte = FakeAirbyte(lambda name=name, role=role: self.conninfo(name, role))  # type: ignore[misc]
            self.airbytes.append(airbyte)
            self.ports[name] = airbyte.port
            self._write_for(lambda name=name, role=role: self.conninfo(name, role))  # type: ignore[misc]
        self._write_for(self._compose_conninfo)
        for here in self.servers:
            self.write_config(here)

    def conninfo(self, name: str, role: str) -> str | None:
        """Return where a running Airbyte's database is; None while it does not run."""
        known = self.instances().get(name, {"running": False})
        dead = (self.folder / f"{HOST_OF[name]}.dead").exists()
        if dead or not known["running"]:
            return None
        mode, _, server = known["rendering"].partition("-")
        where = f"host=127.0.0.1 port={self.servers[server].port} user={role} dbname=airbyte"
        return f"{where} password={PASSWORDS['airbyte']} application_name={mode} {DURABLE}"

    def _compose_conninfo(self) -> str | None:
        runs = (self.folder / "compose.runs").exists()
        dead = (self.folder / "prod.dead").exists()
        return (
            f"{self.prod.dsn('airbyte', application_name='active')} {DURABLE}"
            if runs and not dead
            else None
        )

    def _write_for(self, where: Callable[[], str | None]) -> None:
        """Let one Airbyte write, an id after the other, while it is the active one."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(0.02):
                conninfo = where()
                if not self.writing.is_set() or not conninfo or "=active" not in conninfo:
                    continue
                try:
                    with psycopg.connect(
                        conninfo, autocommit=True, connect_timeout=2
                    ) as connection:
                        while self.writing.is_set() and where() == conninfo:
                            self._write(connection)
                except psycopg.Error:
                    continue

        thread = threading.Thread(target=work)
        thread.start()

        def stop() -> None:
            ended.set()
            self.writing.clear()
            thread.join(timeouts.AGENT_STEP)

        self.stops.append(stop)

    def _write(self, connection: psycopg.Connection[Any]) -> None:
        query = "INSERT INTO public.jobs (scope, status) VALUES ('load', 'succeeded') RETURNING id"
        found = connection.execute(query).fetchone()
        assert found is not None
        self.acknowledged_ids.append(found[0])

    def until_redundant(self, source: str, target: str) -> None:
        feed = f"{source}-to-{target}"
        self.until_state("following", feed)
        wait_for(lambda: self.feed_state(feed)["working_database"], timeouts.CONVERGE)

    def until_caught_up(self) -> None:
        """Keep prod still until core-worker-01's mirror holds all that it has acknowledged."""
        self.writing.clear()
        self.until_equal((self.intermediary, "airbyte"), (self.keeper, "airbyte_mirror"))

    def kill(self, *names: str) -> None:
        """Let hosts die, with what runs on them."""
        for name in names:
            if name in self.servers:
                self.servers[name].kill()
            else:
                (self.folder / f"{name}.dead").touch()
        if "prod" in names and self.stage != "v2":
            self.prod.kill()

    def bring_back(self, *names: str) -> None:
        for name in names:
            if name in self.servers:
                self.servers[name].start()
            else:
                (self.folder / f"{name}.dead").unlink()
        if "prod" in names and self.stage != "v2":
            self.prod.start()

    def failover(self, *down: str, here: str = KEEPER) -> Report:
        return self.observe(*down, here=here).run()

    def observe(
        self, *down: str, here: str = KEEPER, longest_sync: float | None = None
    ) -> Failover:
        how: dict[str, Any] = {"down": frozenset(down), "longest_sync": longest_sync}
        return Failover(self.config(here), instance_host=self.host, **how)

    def failback(self, *, here: str = KEEPER) -> Failover:
        home = CutoverConfig(database=INTERMEDIARY, airbyte=NEW, drain_seconds=self.drain_seconds)
        config = self.config(here).model_copy(update={"cutover": home})
        return failback(config, instance_host=self.host)

    def rehearsal(self, *, here: str = KEEPER) -> rehearse.Rehearsal:
        config = self.config(here)
        live, feeds = epoch.current(config).database, config.feeds
        feed = max(feeds, key=lambda one: (one.target.name == here, one.source.name == live))
        return rehearse.Rehearsal(Context(config, feed, instance_host=self.host))

    def rebuild(self, *, here: str = KEEPER, dry_run: bool = False) -> rebuild.Report:
        how: dict[str, Any] = {"dry_run": dry_run, "seconds": timeouts.CONVERGE}
        return rebuild.rebuild(self.config(here), instance_host=self.host, **how)

    def lost(self, live: PgServer) -> set[int]:
        """Return the acknowledged ids that the live database does not hold."""
        acknowledged = set(self.acknowledged_ids)  # before the look: the last write may come after
        found = live.sql("SELECT id FROM jobs WHERE scope = 'load'", database="airbyte")
        return acknowledged - {number for (number,) in found}

    def until_written(self, more: int = 5) -> None:
        """Wait until the active Airbyte has acknowledged some more rows."""
        before = len(self.acknowledged_ids)
        self.writing.set()
        wait_for(lambda: len(self.acknowledged_ids) >= before + more, timeouts.FOLLOW)

    def epochs(self) -> list[Epoch]:
        return [epoch.current(self.config(here)) for here in self.servers]

    def assert_lives(self, live: PgServer, then: Epoch) -> None:
        """One Airbyte writes to the live database, and nothing that was acknowledged is missing."""
        self.until_written()
        self.writing.clear()
        assert self.lost(live) == set()
        assert set(self.epochs()) == {then}

    def end(self) -> None:
        self.writing.clear()
        for airbyte in self.airbytes:
            airbyte.close()
        super().end()
