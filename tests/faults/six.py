"""The six faults. Each selection is the narrowest that has to see its fault."""

from tests.faults.machinery import Fault

SCENARIO = "tests/scenarios/awkward_schema/test_awkward_schema.py"
PROGRAM = "tests/unit/test_program.py"

FAULTS: tuple[Fault, ...] = (
    Fault(
        name="missing replica identity",
        harm="Tables without a key would be published so that prod's own UPDATE and DELETE fail.",
        file="db_migration/following/prepare.py",
        old="if not until(full, IDENTITY_SECONDS, every=IDENTITY_EVERY):",
        new="if full is None:",
        selection=(f"{SCENARIO}::test_arrives_and_follows",),
    ),
    Fault(
        name="dropped row",
        harm="The copy would lack one row of each table.",
        file="db_migration/seeding/jobs.py",
        old='"COPY {table} ({columns}) TO STDOUT (FORMAT {format})"',
        new='"COPY (SELECT {columns} FROM {table} OFFSET 1) TO STDOUT (FORMAT {format})"',
        selection=(f"{SCENARIO}::test_arrives_and_follows",),
    ),
    Fault(
        name="unsealed secret",
        harm="Passwords would be in clear in the state and in previews.",
        # Settings and components both seal; only the last layer can leak.
        file="components/compose_create.py",
        old='else pulumi.Output.secret(pulumi.Output.concat(f"{key}=", value))',
        new='else pulumi.Output.unsecret(pulumi.Output.concat(f"{key}=", value))',
        selection=(PROGRAM, "-k", "no_planted_secret"),
    ),
    Fault(
        name="host key not checked",
        harm="Anybody on the path could be the host, and get the passwords.",
        file="components/host.py",
        old="            host_key=self.host_key,\n",
        new="",
        selection=(PROGRAM, "-k", "host_key"),
    ),
    Fault(
        name="standby with workers",
        harm="Two Airbytes would write the same destinations.",
        file="airbyte/chart_values.py",
        old="return 0 if component.syncs and rendering is Rendering.STANDBY else 1",
        new="return 1",
        selection=("tests/unit/airbyte/test_chart_values.py",),
    ),
    Fault(
        name="sequence left behind",
        harm="After a failover the first job would get an id that exists already.",
        file="db_migration/following/sequences.py",
        old="        if sequence.full_name in mine\n",
        new='        if sequence.full_name in mine and "jobs" not in sequence.full_name\n',
        selection=(f"{SCENARIO}::test_next_number_is_free_on_the_mirror",),
    ),
)
