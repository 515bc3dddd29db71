"""`destroy --exclude-protected` keeps every database; a following `up` finds the data again."""

from __future__ import annotations

from tests.integration.main_job.deployment import Deployment


def test_destroy_leaves_every_database_volume_and_up_finds_the_data_again(v1: Deployment) -> None:
    jobs = v1.prod_sql("SELECT count(*) FROM jobs")
    mirrored = v1.copy_sql("SELECT count(*) FROM jobs")

    v1.run("pulumi", "destroy", "--yes", "--non-interactive", "--exclude-protected", "-s", "v1")

    assert v1.lab.docker("prod", "ps", "-aq") == ""
    assert "airbyte_db" in v1.lab.docker("prod", "volume", "ls", "-q").split()
    assert v1.lab.docker("core-worker-01", "volume", "ls", "-q") != ""

    v1.up("v1")

    assert v1.prod_sql("SELECT count(*) FROM jobs") == jobs
    assert v1.copy_sql("SELECT count(*) FROM jobs") >= mirrored
    assert v1.agent("verify", "--json").returncode == 0
    assert v1.up("v1") == {}
