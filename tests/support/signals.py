"""A signal to a process, where the kernel may put it: in a thread that is not the main one."""

from __future__ import annotations

import ctypes
import signal
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)


def terminate_by_another_thread(pid: int) -> None:
    """Send SIGTERM to a process of several threads, to the oldest but the main one."""
    others = {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()} - {pid}
    assert _LIBC.tgkill(pid, min(others), signal.SIGTERM.value) == 0
