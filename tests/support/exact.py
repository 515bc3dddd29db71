"""An exact verification of a machine that has no time left: it gives up, and is repeated."""

from __future__ import annotations

import re
from collections.abc import Callable
from subprocess import CompletedProcess

from db_migration.errors import BlockedError
from db_migration.verification import verify
from tests.support.scenario import Scenario

GAVE_UP = re.compile(r"no moment of \d+ ms|writers may have waited for \d+ ms")
"""Both ways to say that prod would have had to wait longer than is promised."""

PATIENCE = 10


def commanded(run: Callable[[], CompletedProcess[str]]) -> CompletedProcess[str]:
    """Run a command that may give up; return its answer, or its last giving up."""
    for _ in range(PATIENCE):
        done = run()
        if not GAVE_UP.search(done.stderr):
            break
    return done


def verified(scenario: Scenario) -> verify.Result:
    """Verify exactly, here; raise what is no giving up, or the last one."""
    for _ in range(PATIENCE):
        try:
            return verify.verify_exactly(scenario.context())
        except BlockedError as blocked:
            if not GAVE_UP.search(blocked.found):
                raise
    return verify.verify_exactly(scenario.context())
