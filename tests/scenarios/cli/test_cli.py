"""The command line and the long-lived process, as an operator meets them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import PASSWORDS, ROOT, Scenario


def start(scenario: Scenario) -> subprocess.Popen[bytes]:
    """Start the agent as its container does; logs go to a file beside the configuration."""
    with (scenario.folder / "agent.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "db_migration", "run", "--config", str(scenario.write_config())],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )


def test_from_preflight_to_verified(scenario: Scenario) -> None:
    before = scenario.cli("preflight", "--json")
    assert before.returncode == 0, before.stdout + before.stderr
    checks = {check["id"]: check for check in json.loads(before.stdout)["feeds"][0]["checks"]}
    assert checks["source.identities"]["found"].startswith("2 table(s) without a key")
    assert checks["target.mirror"]["found"] == "empty"
    assert all(check["needed"] and check["why"] for check in checks.values())
    unknown = json.loads(scenario.cli("status", "--json").stdout)["feeds"][0]
    assert unknown["state"] == "preparing"
    assert scenario.cli("status", "--wait", "perfect").returncode == 2

    agent = start(scenario)
    goals = ("--wait", "following,verified,working", "--deadline", str(timeouts.CONVERGE))
    found = scenario.cli("status", *goals)
    assert found.returncode == 0, found.stdout + found.stderr
    feed = json.loads(found.stdout)["feeds"][0]
    assert feed["state"] == "following"
    assert feed["verified"]["equal"] is True
    assert feed["verified"]["rows"] > 1000
    assert feed["sequences_ahead"] is True
    assert feed["lag"]["bytes"] >= 0
    assert feed["error"] is None
    assert "following" in scenario.cli("status").stdout
    assert scenario.cli("preflight").returncode == 0

    agent.send_signal(signal.SIGTERM)
    assert agent.wait(timeouts.AGENT_STEP) == 0
    scenario.source.sql("DELETE FROM attempts", database="airbyte")
    scenario.assert_equal()


def test_deadline_is_exit_code_4(scenario: Scenario) -> None:
    found = scenario.cli("status", "--wait", "following", "--deadline", "0.5")
    assert found.returncode == 4
    assert "following" in found.stderr
    assert json.loads(found.stdout)["feeds"][0]["state"] == "preparing"


def test_nothing_can_be_reached(scenario: Scenario) -> None:
    scenario.settings["feeds.0.source.port"] = 1
    found = scenario.cli("preflight")
    assert found.returncode == 3
    assert "source.reachable" in found.stdout
    assert "hint:" in found.stdout
    prepared = scenario.cli("prepare")
    assert prepared.returncode == 1
    assert "source `prod`" in prepared.stderr


def test_killed_at_random_and_started_again(scenario: Scenario) -> None:
    """The uninstrumented process, killed at moments that nobody has chosen."""
    chance = random.Random(13)  # noqa: S311 - a seed, not a secret
    for number in range(6):
        agent = start(scenario)
        try:
            agent.wait(0.8 + 3 * chance.random())
        except subprocess.TimeoutExpired:
            os.kill(agent.pid, signal.SIGKILL)
        assert agent.wait() == -signal.SIGKILL
        query = "INSERT INTO jobs (scope, status) VALUES (%s, 'pending')"
        scenario.source.sql(query, f"life {number}", database="airbyte")
    scenario.converge()
    scenario.assert_equal()
    assert scenario.cli("verify").returncode == 0


def test_no_secret_is_written_anywhere(scenario: Scenario) -> None:
    agent = start(scenario)
    goals = ("--wait", "following,verified,working", "--deadline", str(timeouts.CONVERGE))
    said = scenario.cli("status", *goals)
    scenario.target.sql("DELETE FROM attempts", database="airbyte_mirror")
    said_too = scenario.cli("verify")
    arguments = Path(f"/proc/{agent.pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{agent.pid}/environ").read_bytes()
    agent.send_signal(signal.SIGTERM)
    agent.wait(timeouts.AGENT_STEP)
    written = [
        said.stdout + said.stderr + said_too.stdout + said_too.stderr,
        (scenario.folder / "agent.log").read_text(),
        arguments.decode(),
        environment.decode(),
        scenario.source.log.read_text(),
        scenario.target.log.read_text(),
        str(scenario.journal().events()),
        str(scenario.state()),
    ]
    for secret in (PASSWORDS["migration"], scenario.source.password):
        for text in written:
            assert secret not in text


def test_wrong_password_is_not_repeated(scenario: Scenario) -> None:
    """The server logs a statement that fails; ours must not be among them."""
    agent = scenario.converge()
    name = "airbyte_migration_core_worker_01"
    for query in ("DISABLE", "SET (slot_name = NONE)"):
        scenario.target.sql(f"ALTER SUBSCRIPTION {name} {query}", database="airbyte_mirror")
    scenario.target.sql(f"DROP SUBSCRIPTION {name}", database="airbyte_mirror")
    scenario.settings["feeds.0.source.address_for_subscriber.port"] = 1
    agent = scenario.agent()
    wait_for(lambda: agent.once() is None, timeouts.AGENT_STEP)
    assert "can not subscribe" in scenario.state()["error"]["found"]
    log = scenario.target.log.read_text()
    assert not re.search(r"CREATE SUBSCRIPTION", log)
    assert PASSWORDS["migration"] not in log
    assert PASSWORDS["migration"] not in str(scenario.state())
