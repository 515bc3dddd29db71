"""Every wait of the tests, by name; ``TEST_TIMEOUT_FACTOR`` stretches them all."""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("TEST_TIMEOUT_FACTOR", "1"))

SERVER_START = 30 * FACTOR
SERVER_STOP = 30 * FACTOR
CONVERGE = 60 * FACTOR
AGENT_STEP = 60 * FACTOR
FOLLOW = 30 * FACTOR
PULUMI_UP = 900 * FACTOR
ARRIVES = 30 * FACTOR
