"""Servers as they stood at a point that takes long to come to, put back for the next test.

They are copied at rest and all together, so that none of them knows more than another: a copy of
one alone would be a server that was set back. Subscribers come first.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.fix_postgres import PgServer


def keep(servers: Sequence[PgServer], point: str) -> None:
    """Remember how the servers stand; nobody may work on them, and they run again afterwards."""
    for server in servers:
        server.stop()
    for server, copy in _copies(servers, point):
        _copy(server.data.resolve(), copy)
    for server in reversed(servers):
        server.start()


def put_back(servers: Sequence[PgServer], point: str) -> bool:
    """Let the servers stand at the point again; False if they have not been kept there."""
    copies = _copies(servers, point)
    if not all(copy.exists() for _, copy in copies):
        return False
    for server in servers:
        server.kill()
    for server, copy in copies:
        data = server.data.resolve()
        shutil.rmtree(data)
        _copy(copy, data)
    for server in reversed(servers):
        server.start()
    return True


def _copies(servers: Sequence[PgServer], point: str) -> list[tuple[PgServer, Path]]:
    name = "-".join([point, *(str(server.port) for server in servers)])
    return [(server, server.data.resolve().with_name(name)) for server in servers]


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)
