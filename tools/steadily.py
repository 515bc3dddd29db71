"""Run a command and never let it be silent: `steadily.py NAME -- COMMAND …`.

Passes the command's output through. After 8 s without a line it says what is running and for how
long, so that a person or a CI log can tell slow from stuck. Standard library only: it runs before
the virtual environment exists.
"""

import os
import selectors
import subprocess
import sys
import time

QUIET_SECONDS = 8.0


def main() -> int:
    """Run the command after `--`; return its exit code (128 + signal when a signal ended it)."""
    split = sys.argv.index("--")
    name = " ".join(sys.argv[1:split])
    started = time.monotonic()
    child = subprocess.Popen(
        sys.argv[split + 1 :], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if child.stdout is None:
        return 1
    waiting = selectors.DefaultSelector()
    waiting.register(child.stdout, selectors.EVENT_READ)
    while True:
        if not waiting.select(QUIET_SECONDS):
            print(f"... {name}: still running, {time.monotonic() - started:.0f} s", flush=True)
            continue
        chunk = os.read(child.stdout.fileno(), 65536)
        if not chunk:
            break
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
