"""A small disk of its own for a server, that can be filled and emptied again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.fix_postgres import PgServer, make_server, unprivileged_ids

BLOCK = 256 * 1024
SMALL_WAL = "max_wal_size = '48MB'\nmin_wal_size = '32MB'\nwal_keep_size = 0\n"


@dataclass
class Disk:
    """A tmpfs of a fixed size; its ballast is what fills it."""

    path: Path

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    def fill(self, but: int = 0) -> None:
        """Leave not one block free, or not many more than `but` bytes."""
        with self.ballast.open("ab", buffering=0) as file, suppress(OSError):
            while self.free_bytes() > but and file.write(b"\0" * BLOCK) == BLOCK:
                continue

    def empty(self) -> None:
        self.ballast.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.path).free


@contextmanager
def server_on_a_small_disk(
    major: int, user: str, megabytes: int, *, with_wal: bool = True
) -> Iterator[tuple[PgServer, Disk]]:
    """Yield a server whose data directory is on a disk of its own (needs root).

    With its WAL there too, a full disk may end the server; without, it only refuses to write.
    """
    home = Path(tempfile.mkdtemp(prefix=f"pg{major}-small-"))
    home.chmod(0o755)
    data = home / "data"
    data.mkdir()
    uid, gid = unprivileged_ids() or (os.getuid(), os.getgid())
    options = f"size={megabytes}m,mode=0700,uid={uid},gid={gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(data)], check=True)
    try:
        server = make_server(home, major, user)
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(SMALL_WAL)
        server.stop()
        if not with_wal:
            subprocess.run(["mv", data / "pg_wal", home / "pg_wal"], check=True)  # keeps the owner
            (data / "pg_wal").symlink_to(home / "pg_wal")
        server.start()
        try:
            yield server, Disk(data)
        finally:
            server.kill()
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)
        shutil.rmtree(home)
