"""Every way to make the copy, each as a peer's own manual says, each timed from outside.

A run gets an empty target and leaves none: databases, slots and subscriptions are removed
afterwards, not timed. `checked` is what the run itself proved about the rows.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.servers import Server
from db_migration.postgres import until
from db_migration.seeding import dump

COPY = "peer_copy"
DEADLINE_SECONDS = 3600
PLAIN = "--no-owner --no-acl --no-publications --no-subscriptions"
"""The copy belongs to whoever makes it: the source's roles are not the target's."""
SYNCED = """
SELECT count(*) > 0 AND bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel
"""


@dataclass(frozen=True)
class World:
    """Both servers, the generated database, and a folder for what a method writes down."""

    source: Server
    target: Server
    database: str
    folder: Path
    config: Path


@dataclass(frozen=True)
class Run:
    """One run of one method."""

    seconds: float
    memory_kib: int = 0


def client(name: str) -> str:
    """Return PostgreSQL 18's client programs: as new as the newest server needs."""
    return str(Path(dump.program()).with_name(name))


def environment(server: Server, database: str) -> dict[str, str]:
    """Return what a client needs; no library of ours is lent."""
    return {"PATH": os.environ["PATH"], "HOME": "/tmp", **server.environment(database)}  # noqa: S108


def shell(script: str, env: dict[str, str]) -> None:
    """Run a pipeline as an operator would type it; any part that fails, fails it."""
    command = ["bash", "-c", f"set -euo pipefail; {script}"]
    done = subprocess.run(
        command, env=env, text=True, capture_output=True, check=False, timeout=DEADLINE_SECONDS
    )
    if done.returncode:
        msg = f"{script}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
        raise RuntimeError(msg)


def _uris(world: World) -> dict[str, str]:
    """Name both sides by connection strings in the environment: passwords are in no argv."""
    return {
        **environment(world.source, world.database),
        "SOURCE": world.source.dsn(world.database),
        "TARGET": world.target.dsn(COPY),
        "DUMP": client("pg_dump"),
        "RESTORE": client("pg_restore"),
        "FOLDER": str(world.folder / "dump"),
    }


def dump_and_psql(world: World) -> Run:
    """`pg_dump | psql`."""
    load = 'psql -X -q -v ON_ERROR_STOP=1 -d "$TARGET"'
    return _peer(world, f'"$DUMP" {PLAIN} -d "$SOURCE" | {load}')


def dump_and_restore(world: World) -> Run:
    """`pg_dump -Fd -Z0 -j2`, then `pg_restore -j2`."""
    read = f'"$DUMP" -Fd -Z0 -j2 {PLAIN} -f "$FOLDER" -d "$SOURCE"'
    write = '"$RESTORE" -j2 --no-owner --no-acl --exit-on-error -d "$TARGET" "$FOLDER"'
    return _peer(world, f"{read}; {write}")


def pgcopydb(world: World) -> Run:
    """`pgcopydb clone` with two table and two index jobs; includes its VACUUM ANALYZE."""
    binaries = str(Path(client("pg_dump")).parent)
    folder = world.folder / "pgcopydb"
    uris = _uris(world)
    env = {
        **uris,
        "PATH": f"{binaries}:{uris['PATH']}",
        "PGCOPYDB_SOURCE_PGURI": _uri(world.source, world.database),
        "PGCOPYDB_TARGET_PGURI": _uri(world.target, COPY),
    }
    script = f"pgcopydb clone --no-acl --no-owner --table-jobs 2 --index-jobs 2 --dir {folder}"
    try:
        return _peer(world, script, env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _uri(server: Server, database: str) -> str:
    return f"postgres://{server.user}:{server.password}@127.0.0.1:{server.port}/{database}"


def _peer(world: World, script: str, env: dict[str, str] | None = None) -> Run:
    """Time a script that fills the empty database `COPY`."""
    world.target.run(f"CREATE DATABASE {COPY}")
    try:
        began = time.monotonic()
        shell(script, env or _uris(world))
        seconds = time.monotonic() - began
        _same_number_of_rows(world)
        return Run(seconds)
    finally:
        shutil.rmtree(world.folder / "dump", ignore_errors=True)
        world.target.run(f"DROP DATABASE {COPY} WITH (FORCE)")


def _same_number_of_rows(world: World) -> None:
    """Refuse a run that has copied nothing: a fast failure must not win."""
    count = "SELECT count(*) FROM jobs"
    there, here = world.source.value(count, world.database), world.target.value(count, COPY)
    if there != here:
        msg = f"{here} of {there} jobs arrived"
        raise RuntimeError(msg)


def native(world: World) -> Run:
    """`CREATE SUBSCRIPTION … (copy_data = true)` into a schema made by `pg_dump -s`."""
    world.target.run(f"CREATE DATABASE {COPY}")
    world.source.run("CREATE PUBLICATION peer FOR ALL TABLES", world.database)
    try:
        began = time.monotonic()
        schema = f'"$DUMP" -s {PLAIN} -d "$SOURCE" | psql -X -q -v ON_ERROR_STOP=1 -d "$TARGET"'
        shell(schema, _uris(world))
        world.target.run(
            f"CREATE SUBSCRIPTION peer CONNECTION '{world.source.dsn(world.database)}' "
            "PUBLICATION peer",
            COPY,
        )
        if not until(lambda: world.target.value(SYNCED, COPY), DEADLINE_SECONDS):
            msg = f"the subscription has not copied all tables within {DEADLINE_SECONDS} s"
            raise TimeoutError(msg)
        seconds = time.monotonic() - began
        _same_number_of_rows(world)
        return Run(seconds)
    finally:
        if world.target.value("SELECT true FROM pg_subscription WHERE subname = 'peer'"):
            world.target.run("DROP SUBSCRIPTION peer", COPY)
        world.source.run("DROP PUBLICATION peer", world.database)
        world.target.run(f"DROP DATABASE {COPY} WITH (FORCE)")


def our_seed(world: World) -> Run:
    """Our seed, ANALYZE and the start of the process included."""
    return _our(world, "seed")


def our_verified_seed(world: World) -> Run:
    """Our seed, every table read back and compared while others load."""
    return _our(world, "verified")


def our(config: Path, what: str) -> dict[str, Any]:
    """Run one measured piece of our work in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ours", str(config), what],
        cwd=ours.ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    if done.returncode:
        msg = f"ours {what}: {done.stdout[-500:]} {done.stderr[-2000:]}"
        raise RuntimeError(msg)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _our(world: World, what: str) -> Run:
    seed = f"{ours.MIRROR}_seed"
    try:
        began = time.monotonic()
        found = our(world.config, what)
        return Run(time.monotonic() - began, int(found["memory_kib"]))
    finally:
        world.target.run(f"DROP DATABASE IF EXISTS {seed} WITH (FORCE)")
        world.source.run(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
            "WHERE NOT active AND NOT temporary"
        )


Method = Callable[[World], Run]
METHODS: dict[str, Method] = {
    "ours": our_seed,
    "ours, verified": our_verified_seed,
    "pgcopydb": pgcopydb,
    "pg_dump -Z0 -j2, pg_restore -j2": dump_and_restore,
    "pg_dump | psql": dump_and_psql,
    "logical replication": native,
}
