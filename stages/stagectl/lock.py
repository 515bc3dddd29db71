"""One promotion at a time: a lock that also outlives a killed stagectl's pulumi.

The descriptor is inherited by the children, so the kernel frees the lock only when the last
orphan has ended, and a command that is run again never meets one that still writes.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from stages.stagectl.errors import BusyError
from stages.stagectl.journal import PRIVATE_DIR, PRIVATE_FILE
from stages.stagectl.report import Reporter

ORPHAN_SECONDS = 120
POLL_SECONDS = 0.5


@contextmanager
def held(folder: Path, reporter: Reporter) -> Iterator[int]:
    """Hold the lock of this folder; gives the descriptor for the children to keep."""
    folder.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        _take(handle, folder, reporter)
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, folder: Path, reporter: Reporter) -> None:
    attempts = Retrying(
        stop=stop_after_delay(ORPHAN_SECONDS),
        wait=wait_fixed(POLL_SECONDS),
        retry=retry_if_exception_type(BlockingIOError),
    )
    try:
        with reporter.waiting("waiting for another stagectl, or its pulumi, to end"):
            attempts(fcntl.flock, handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except RetryError as error:
        raise BusyError(
            found=f"{folder / 'lock'} is held for over {ORPHAN_SECONDS} s",
            needed="no other stagectl at work on this project",
            way_out="Wait for it to end, then run the same command again.",
        ) from error
