"""An Airbyte that only writes: a row after the other, each acknowledged id into a file by fsync.

Run as ``python -m tests.support.writer FLAG ACKNOWLEDGED CONNINFO``. It writes while the file FLAG
is there; without it, it has no session.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psycopg

PAUSE_SECONDS = 0.005


def main() -> None:
    flag, acknowledged, conninfo = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    with acknowledged.open("a") as out:
        while True:
            if flag.exists():
                try:
                    with psycopg.connect(conninfo, autocommit=True) as connection:
                        write(connection, flag, out.fileno())
                except psycopg.Error:
                    pass
            time.sleep(PAUSE_SECONDS)


def write(connection: psycopg.Connection[tuple[int]], flag: Path, out: int) -> None:
    while flag.exists():
        query = "INSERT INTO public.jobs (scope, status) VALUES ('load', 'succeeded') RETURNING id"
        found = connection.execute(query).fetchone()
        assert found is not None
        os.write(out, f"{found[0]} {time.time()}\n".encode())
        os.fsync(out)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
