"""The command line and the long-lived process, as an operator meets them."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from tests.support import timeouts
from tests.support.fix_postgres import free_port, wait_for
from tests.support.scenario import FEED, PASSWORDS, ROOT, SLOT, Scenario
from tests.support.signals import terminate_by_another_thread

ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d")
WITH_READER = ("source.replication", "source.path", "source.password")


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
    assert before.returncode == 5, before.stdout + before.stderr
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
    again = scenario.cli("preflight", "--json")
    assert again.returncode == 5
    checks = {check["id"]: check for check in json.loads(again.stdout)["feeds"][0]["checks"]}
    assert {checks[name]["result"] for name in WITH_READER} == {"pass"}

    terminate_by_another_thread(agent.pid)
    assert agent.wait(timeouts.AGENT_STEP) == 0
    scenario.source.sql("DELETE FROM attempts", database="airbyte")
    scenario.assert_equal()


def asked(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeouts.AGENT_STEP)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_metrics_probes_and_audit_trail(scenario: Scenario) -> None:
    port = free_port()
    scenario.settings["http"] = {"port": port}
    agent = start(scenario)
    wait_for(lambda: listens(port), timeouts.AGENT_STEP)
    assert asked(port, "/readyz")[0] == 503
    goals = ("--wait", "following,verified", "--deadline", str(timeouts.CONVERGE))
    assert scenario.cli("status", *goals).returncode == 0
    wait_for(lambda: asked(port, "/readyz")[0] == 200, timeouts.AGENT_STEP)
    assert asked(port, "/healthz") == (200, '{"ok": true, "dead": []}\n')
    metrics = asked(port, "/metrics")[1]
    for line in ('state{feed="%s",state="following"} 1.0', 'seeds_total{feed="%s"} 1.0'):
        assert f"db_migration_{line}" % FEED in metrics

    watched = watch(scenario)
    first = json.loads(watched.stdout.readline())["feeds"][0]
    assert first["state"] == "following"
    watched.send_signal(signal.SIGINT)
    assert watched.wait(timeouts.AGENT_STEP) == 0
    watched.stdout.close()

    agent.send_signal(signal.SIGTERM)
    assert agent.wait(timeouts.AGENT_STEP) == 0
    told = scenario.cli("history", "--json", DB_MIGRATION_OPERATOR="alice")
    events = json.loads(told.stdout)["feeds"][0]["events"]
    (seed,) = [e for e in events if (e["step"], e["phase"]) == ("seed", "started")]
    assert seed["who"].startswith("db-migration: run on ")
    assert seed["evidence"]["source"]["publication"] is True
    assert seed["evidence"]["target"]["subscription"] is None
    assert "there is no copy" in seed["detail"]
    (feed,) = json.loads(scenario.cli("status", "--json").stdout)["feeds"]
    times = (seed["at"], feed["verified"]["at"], feed["working_database"]["made_at"])
    assert [time for time in times if not ISO_8601.fullmatch(time)] == []


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Watched(subprocess.Popen[str]):
    stdout: TextIO


def watch(scenario: Scenario) -> Watched:
    command = [sys.executable, "-m", "db_migration", "status", "--watch", "--every", "0.2"]
    config = ["--json", "--config", str(scenario.write_config())]
    return Watched([*command, *config], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_journal_of_an_earlier_version_is_taken_over(scenario: Scenario) -> None:
    agent = scenario.agent()
    agent.journal.open()
    earlier = "ALTER TABLE migration.event DROP COLUMN who, DROP COLUMN evidence"
    scenario.target.sql(earlier, database="airbyte_migration")
    assert scenario.cli("history").returncode == 0
    assert scenario.cli("prepare", DB_MIGRATION_OPERATOR="alice").returncode == 0
    (line, *_) = scenario.journal().history(1)
    assert line["who"].startswith("alice: prepare on ")


def test_deadline_is_exit_code_4(scenario: Scenario) -> None:
    found = scenario.cli("status", "--wait", "following", "--deadline", "0.5")
    assert found.returncode == 4
    assert "following" in found.stderr
    assert json.loads(found.stdout)["feeds"][0]["state"] == "preparing"


def test_nothing_is_waited_for_in_what_a_dead_agent_said(scenario: Scenario) -> None:
    scenario.converge()
    long_ago = "UPDATE migration.feed SET at = now() - interval '100 s'"
    scenario.target.sql(long_ago, database="airbyte_migration")
    goals = ("--wait", "following,verified", "--deadline", "0.5")
    with scenario.journal().alone():  # as an agent does that is at a long step
        assert scenario.cli("status", *goals).returncode == 0
    found = scenario.cli("status", *goals)
    assert found.returncode == 4
    feed = json.loads(found.stdout)["feeds"][0]
    assert feed["state"] == "broken"
    assert feed["error"]["found"].startswith("the agent has said nothing for")
    scenario.converge()
    assert scenario.cli("status", *goals).returncode == 0


def test_what_prod_keeps_for_a_dead_agent_is_asked_of_prod(scenario: Scenario) -> None:
    """What the agent had seen of slot and worker may be hours old, and prod's disk be filling."""
    scenario.converge()
    disable = f"ALTER SUBSCRIPTION {SLOT} DISABLE"
    scenario.target.sql(disable, database="airbyte_mirror")
    scenario.source.write_wal(5 * 1024**2)
    long_ago = "UPDATE migration.feed SET at = now() - interval '100 s'"
    scenario.target.sql(long_ago, database="airbyte_migration")
    (feed,) = json.loads(scenario.cli("status", "--json").stdout)["feeds"]
    assert (feed["silent"], feed["source_seen"], feed["subscription"]) == (True, True, None)
    assert feed["slot"]["retained_bytes"] > 5 * 1024**2
    scenario.source.stop()
    (feed,) = json.loads(scenario.cli("status", "--json").stdout)["feeds"]
    assert (feed["source_seen"], feed["slot"]) == (False, None)
    assert "the source was not seen" in scenario.cli("status").stdout


def test_what_can_not_be_read_is_not_called_missing(scenario: Scenario) -> None:
    scenario.converge()
    scenario.settings["control.port"] = 1
    (feed,) = json.loads(scenario.cli("status", "--json").stdout)["feeds"]
    assert feed["state"] == "broken"
    assert feed["next"] == "what the agent has said can not be read, see `error`"
    text = scenario.cli("status").stdout
    assert "not yet" not in text
    assert "has not reported" not in text


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
    port = free_port()
    scenario.settings["http"] = {"port": port}
    agent = start(scenario)
    goals = ("--wait", "following,verified,working", "--deadline", str(timeouts.CONVERGE))
    said = scenario.cli("status", *goals)
    scenario.target.sql("DELETE FROM attempts", database="airbyte_mirror")
    said_too = scenario.cli("verify")
    looked = [scenario.cli(verb) for verb in ("status", "history", "preflight")]
    looked.append(scenario.cli("release", "--dry-run"))
    answers = [asked(port, path)[1] for path in ("/metrics", "/healthz", "/readyz")]
    arguments = Path(f"/proc/{agent.pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{agent.pid}/environ").read_bytes()
    agent.send_signal(signal.SIGTERM)
    agent.wait(timeouts.AGENT_STEP)
    written = [
        said.stdout + said.stderr + said_too.stdout + said_too.stderr,
        *(found.stdout + found.stderr for found in looked),
        *answers,
        (scenario.folder / "agent.log").read_text(),
        arguments.decode(),
        environment.decode(),
        scenario.source.log.read_text(),
        scenario.target.log.read_text(),
        str(scenario.journal().history(1000)),
        str(scenario.state()),
    ]
    for secret in (PASSWORDS["migration"], scenario.source.password):
        for text in written:
            assert secret not in text


def test_wrong_password_is_not_repeated(scenario: Scenario) -> None:
    """The server logs a statement that fails; ours must not be among them."""
    agent = scenario.converge()
    said_by_others = len(scenario.target.log.read_text())
    name = "airbyte_migration_core_worker_01"
    for query in ("DISABLE", "SET (slot_name = NONE)"):
        scenario.target.sql(f"ALTER SUBSCRIPTION {name} {query}", database="airbyte_mirror")
    scenario.target.sql(f"DROP SUBSCRIPTION {name}", database="airbyte_mirror")
    scenario.settings["feeds.0.source.address_for_subscriber.port"] = 1
    agent = scenario.agent()
    wait_for(lambda: agent.once() is None, timeouts.AGENT_STEP)
    assert "can not subscribe" in scenario.state()["error"]["found"]
    log = scenario.target.log.read_text()[said_by_others:]
    assert not re.search(r"CREATE SUBSCRIPTION", log)
    assert PASSWORDS["migration"] not in log
    assert PASSWORDS["migration"] not in str(scenario.state())
