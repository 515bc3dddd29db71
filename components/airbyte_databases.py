"""Roles, databases and grants that each of our database servers has, so that any can be prod's.

`db_migration/target_setup.sql` says the same for servers without Pulumi.
"""

from dataclasses import dataclass

import pulumi
import pulumi_postgresql as postgresql

AIRBYTE_ROLE = "airbyte"
"""Owner of all that Airbyte has; nobody logs in with it."""
PROD_ROLE = "airbyte_prod"
REPLICA_ROLE = "airbyte_replica"
INSTANCE_ROLES = (PROD_ROLE, REPLICA_ROLE)
"""Login of each Airbyte: the database itself decides which of them may come in."""
MIGRATION_ROLE = "airbyte_migration"

MIRROR = "airbyte_mirror"
WORKING = "airbyte"
"""The database that an Airbyte runs on: prod's after a promotion, else the standby's."""
CONTROL = "airbyte_migration"
TEMPORAL = ("temporal", "temporal_visibility")

OWNERS = {
    MIRROR: MIGRATION_ROLE,
    CONTROL: MIGRATION_ROLE,
    WORKING: AIRBYTE_ROLE,
    **dict.fromkeys(TEMPORAL, AIRBYTE_ROLE),
}

MIGRATION_MEMBERSHIPS = (AIRBYTE_ROLE, *INSTANCE_ROLES, "pg_create_subscription")
"""It makes tables in the name of `airbyte`, ends the instances' sessions, and subscribes."""

FENCED = ["login", "connectionLimit", "validUntil"]
"""Attributes of a role that a fence changes: `pulumi up` must not lift it."""
PROMOTED = ["allowConnections", "connectionLimit", "isTemplate", "owner"]
"""Attributes of a database that seeding, promotion and a fence change."""


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """Of the roles."""

    airbyte: pulumi.Input[str]
    """Of the owner and of every instance's login."""
    migration: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class AirbyteDatabases:
    """What was declared; a user of it depends on all of it."""

    roles: list[postgresql.Role]
    databases: list[postgresql.Database]
    grants: list[postgresql.Grant]

    @property
    def all(self) -> list[pulumi.Resource]:
        """Everything, in the order in which it is made."""
        return [*self.roles, *self.databases, *self.grants]


def declare(
    name: str, passwords: Passwords, *, parent: pulumi.Resource, provider: postgresql.Provider
) -> AirbyteDatabases:
    """Declare them on the server of `provider`. Who may connect is the script's matter."""
    here = pulumi.ResourceOptions(parent=parent, provider=provider)
    roles = _roles(name, passwords, here)
    databases = {
        database: postgresql.Database(
            f"{name}-database-{database}",
            name=database,
            owner=owner,
            opts=_kept(here, depends_on=roles, ignore=PROMOTED),
        )
        for database, owner in OWNERS.items()
    }
    grants = [
        postgresql.Grant(
            f"{name}-closed-{database}",
            database=database,
            object_type="database",
            role="public",
            privileges=[],
            opts=pulumi.ResourceOptions.merge(here, pulumi.ResourceOptions(depends_on=[made])),
        )
        for database, made in databases.items()
    ]
    return AirbyteDatabases(roles=roles, databases=[*databases.values()], grants=grants)


def _roles(name: str, passwords: Passwords, here: pulumi.ResourceOptions) -> list[postgresql.Role]:
    owner = postgresql.Role(
        f"{name}-role-{AIRBYTE_ROLE}",
        name=AIRBYTE_ROLE,
        login=True,
        password=pulumi.Output.secret(passwords.airbyte),
        opts=_kept(here, depends_on=[], ignore=FENCED),
    )
    instances = [
        postgresql.Role(
            f"{name}-role-{role}",
            name=role,
            login=True,
            # Without this the owner's right to connect would be theirs too, and a fence no fence.
            inherit=False,
            roles=[AIRBYTE_ROLE],
            assume_role=AIRBYTE_ROLE,
            password=pulumi.Output.secret(passwords.airbyte),
            opts=_kept(here, depends_on=[owner], ignore=FENCED),
        )
        for role in INSTANCE_ROLES
    ]
    migration = postgresql.Role(
        f"{name}-role-{MIGRATION_ROLE}",
        name=MIGRATION_ROLE,
        login=True,
        create_database=True,
        # The other server subscribes with it.
        replication=True,
        roles=sorted(MIGRATION_MEMBERSHIPS),
        password=pulumi.Output.secret(passwords.migration),
        opts=_kept(here, depends_on=[owner, *instances], ignore=FENCED),
    )
    return [owner, *instances, migration]


def _kept(
    here: pulumi.ResourceOptions, *, depends_on: list[postgresql.Role], ignore: list[str]
) -> pulumi.ResourceOptions:
    """Return options of what outlives a `destroy`: databases, and the roles that own them."""
    kept = pulumi.ResourceOptions(
        depends_on=depends_on, ignore_changes=ignore, protect=True, retain_on_delete=True
    )
    return pulumi.ResourceOptions.merge(here, kept)
