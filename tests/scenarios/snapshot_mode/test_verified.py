"""What a verification of a mirror in snapshot mode finds beside its rows and definitions."""

from __future__ import annotations

import pytest

from db_migration.verification import verify
from tests.scenarios.snapshot_mode.conftest import Snapshots

ON_THE_MIRROR = {
    # what is done to the mirror, how it is taken back, and what a verification says
    "sequence": (
        "SELECT setval('jobs_id_seq', 3)",
        "SELECT setval('jobs_id_seq', 100000)",
        "sequence public.jobs_id_seq: stands at 3 on the mirror, behind ",
    ),
    "right": (
        "REVOKE INSERT ON jobs FROM airbyte",
        "GRANT INSERT ON jobs TO airbyte",
        "table public.jobs: `airbyte` has no INSERT on the mirror",
    ),
    "grant": (
        "GRANT UPDATE ON jobs TO pg_monitor",
        "REVOKE UPDATE ON jobs FROM pg_monitor",
        "table public.jobs: UPDATE granted to pg_monitor only on the mirror",
    ),
    "type": (
        "SET ROLE airbyte; CREATE TYPE another AS (one int)",
        "DROP TYPE another",
        "what is of no table (types, functions, views, …): not as in the snapshot",
    ),
    "owner": (
        "ALTER TYPE job_status OWNER TO postgres",
        "ALTER TYPE job_status OWNER TO airbyte",
        "type public.job_status: belongs to `postgres` on the mirror, not to `airbyte`",
    ),
}


@pytest.mark.parametrize("what", ON_THE_MIRROR)
def test_what_is_no_row_of_the_mirror_is_verified_too(snapshots: Snapshots, what: str) -> None:
    done, undone, said = ON_THE_MIRROR[what]
    snapshots.copy()
    for query, differs in ((done, True), (undone, False)):
        snapshots.mirror(query)
        found = verify.verify_and_record(snapshots.agent.context, snapshots.agent.journal)
        assert any(said in line for line in found["differences"]) is differs, found
        assert found["equal"] is not differs
