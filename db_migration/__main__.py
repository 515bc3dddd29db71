"""`python -m db_migration` is the same as `db-migration`."""

import os
import signal
import sys
from errno import ENOSPC


def _end(*_: object) -> None:
    """End at once, as without a handler, but say so; `run` and `idle` take the signal over."""
    try:
        os.write(2, b"error: ended by SIGTERM\n")
    finally:
        os._exit(128 + signal.SIGTERM)


def _no_room() -> None:
    sys.stderr.write(
        "error: found: stdout takes no more: no space left on device\n"
        "needed: room where stdout leads to\n\n"
        "hint: make room there or lead it elsewhere; what was done before is done\n"
    )
    # What is left in the buffer would be tried again at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        from db_migration.cli.app import app

        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:
        if error.errno != ENOSPC or error.filename is not None:
            raise
        _no_room()
        raise SystemExit(1) from None
