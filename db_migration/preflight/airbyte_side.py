"""Whether the source's Airbyte is one that can be moved, as its database shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from airbyte import flyway, versions
from db_migration.postgres import Connection
from db_migration.preflight.checklist import Check, Result, judged, named
from db_migration.preflight.facts import careful

DEFAULT_ORGANIZATION = "00000000-0000-0000-0000-000000000000"

_READ: dict[str, str] = {
    "version": "SELECT value FROM public.airbyte_metadata WHERE key = 'airbyte_version'",
    "configs": f"SELECT array(SELECT version FROM public.{flyway.CONFIGS_HISTORY} "  # noqa: S608
    "WHERE success AND version IS NOT NULL)",
    "failed": f"SELECT (SELECT count(*) FROM public.{flyway.CONFIGS_HISTORY} "  # noqa: S608
    f"WHERE NOT success) + (SELECT count(*) FROM public.{flyway.JOBS_HISTORY} WHERE NOT success)",
    "lacking": "SELECT array(SELECT name FROM unnest(%(tables)s::text[]) name "
    "WHERE to_regclass(format('public.%%I', name)) IS NULL)",
    "jobs": "SELECT coalesce(jsonb_agg(jsonb_build_object('job', j.id::text, 'status', "
    "j.status::text, 'connection_id', j.scope, 'connection', coalesce(c.name, '')) "
    "ORDER BY j.id), '[]') FROM public.jobs j LEFT JOIN public.connection c "
    "ON c.id::text = j.scope WHERE j.status::text IN ('pending', 'running', 'incomplete')",
    "email": "SELECT coalesce(email, '') <> '' FROM public.organization WHERE id = %(org)s::uuid",
    "has_secrets": "SELECT to_regclass('public.secrets') IS NOT NULL",
    "references": "SELECT count(*) FROM public.actor a, jsonb_path_query(a.configuration, "
    "'$.**._secret') WHERE NOT a.tombstone",
    "dangling": "SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('actor_id', a.id::text, "
    "'actor', a.name)), '[]') FROM public.actor a, jsonb_path_query(a.configuration, "
    "'$.**._secret') s WHERE NOT a.tombstone "
    "AND NOT EXISTS (SELECT FROM public.secrets x WHERE x.coordinate = s #>> '{}')",
}


@dataclass(frozen=True, kw_only=True)
class AirbyteFacts:
    """What the tables of Airbyte say; None is what could not be read."""

    version: str | None = None
    configs: list[str] | None = None
    """Versions of the configuration tables' migrations that were applied."""
    failed: int | None = None
    lacking: list[str] | None = None
    """Main tables that are not there."""
    jobs: list[dict[str, str]] | None = None
    """Jobs that have not ended."""
    email: bool | None = None
    """Whether the default organization has one."""
    has_secrets: bool | None = None
    references: int | None = None
    """How often a connector's configuration points into a secret store."""
    dangling: list[dict[str, str]] | None = None
    """Actors that point to a secret which the table does not hold."""


def read(connection: Connection) -> AirbyteFacts:
    """Read the source; changes nothing, and takes no secret's value."""
    args = {"tables": list(flyway.MAIN_TABLES), "org": DEFAULT_ORGANIZATION}
    found: dict[str, Any] = {
        name: careful(connection, query, args) for name, query in _READ.items()
    }
    return AirbyteFacts(**found)


def checks(facts: AirbyteFacts, *, compose: bool, accepted: Sequence[str] = ()) -> Iterator[Check]:
    """Judge the Airbyte; `compose` says whether it should be one of Docker Compose's releases.

    The owner gave his word on the versions in `accepted`.
    """
    yield _version(facts, accepted, compose=compose)
    yield _schema(facts)
    yield _jobs(facts)
    yield _secrets(facts)
    yield _email(facts)


def none_there() -> Check:
    """Say that there is no Airbyte, and none is configured."""
    return Check(
        id="airbyte.version",
        title="Version of Airbyte",
        result=Result.NOT_APPLICABLE,
        found="no `airbyte_metadata`, and no Airbyte in the configuration",
        needed="nothing: a feed takes any database",
        why="without an Airbyte there is nothing of it to look at",
    )


def _version(facts: AirbyteFacts, accepted: Sequence[str], *, compose: bool) -> Check:
    charts = sorted({chart.airbyte for chart in versions.CHARTS.values()})
    known = versions.COMPOSE_VERSIONS if compose else (*versions.COMPOSE_VERSIONS, *charts)
    return Check(
        id="airbyte.version",
        title="Version of Airbyte",
        result=judged(
            facts.version in known, Result.WARNING if facts.version in accepted else Result.FAIL
        ),
        found=facts.version or "no `airbyte_metadata`: this is not an Airbyte's database",
        needed=f"{known[0]} to {known[-1]}",
        why="tables, defaults and what the new Airbyte makes of them were read for these",
        way_out="upgrade Airbyte to one of these first; or name the right database; or give your "
        "word in the stack file, with prod.acceptVersion or chartAirbyte: then this is a warning",
    )


def _schema(facts: AirbyteFacts) -> Check:
    applied = facts.configs or []
    newest = max(applied, key=flyway.numbers, default=None)
    span = flyway.span(facts.version or "")
    lacking = facts.lacking or []
    ok = newest is not None and span.holds(newest) and not lacking and not facts.failed
    return Check(
        id="airbyte.schema",
        title="The schema is that of this version",
        result=judged(ok) if facts.version else Result.NOT_APPLICABLE,
        found=f"newest migration {newest or 'none'}, failed migrations: {facts.failed or 0}, main "
        f"tables missing: {named(lacking)}",
        needed=f"newest migration {span}, none failed, no table missing",
        why="later migrations build on these; one that stopped half way stops the next one, too",
        way_out="let the Airbyte that is there end its migrations (its bootloader's log) first",
    )


def _jobs(facts: AirbyteFacts) -> Check:
    jobs = facts.jobs
    return Check(
        id="airbyte.jobs",
        title="Jobs that run now",
        result=judged(None if jobs is None else not jobs, Result.WARNING),
        found="no table `jobs`" if jobs is None else f"{len(jobs)} not ended",
        needed="none at the cut-over; for the feed it does not matter",
        why="touching a connection fails its running job",
        way_out="nothing to do now: the cut-over drains them; or wait until they have ended",
        affected=tuple(jobs or ()),
    )


def _secrets(facts: AirbyteFacts) -> Check:
    if facts.references == 0:
        result = Result.PASS
    elif facts.references is None or facts.has_secrets is None:
        result = Result.WARNING
    else:
        result = judged(facts.has_secrets and not facts.dangling)
    held = "there" if facts.has_secrets else "not there"
    return Check(
        id="airbyte.secrets",
        title="Connectors' secrets are in the database",
        result=result,
        found=f"table `secrets` is {held}; configurations point into it {facts.references or 0} "
        f"times, to {len(facts.dangling or ())} connector(s)' secrets that it does not hold",
        needed="each secret that is pointed to",
        why="the table travels with the database; another secret store does not, and a connector "
        "whose secret is missing can neither run nor be edited",
        way_out="enter these connectors' secrets again in Airbyte's settings, or bring the store "
        "(`SECRET_PERSISTENCE`) along",
        affected=tuple(facts.dangling or ()),
    )


def _email(facts: AirbyteFacts) -> Check:
    return Check(
        id="airbyte.login_email",
        title="There is an e-mail address to log in with",
        result=judged(facts.email, Result.WARNING),
        found={True: "set", False: "empty", None: "no default organization"}[facts.email],
        needed="an address in the default organization",
        why="after the move one logs in with it; basic auth is gone",
        way_out="after the install: `abctl local credentials --email you@example.com`",
    )
