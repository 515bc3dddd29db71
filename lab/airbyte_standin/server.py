"""airbyte-server: the API. At start it only checks the least Flyway version."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from . import auth, flyway, versions
from .connections import Connections
from .database import Pool, connect
from .jobs import Jobs
from .lab_routes import LabRoutes
from .runtime import log, pause
from .scheduling import Scheduler
from .settings import StandinError
from .statuses import Statuses
from .web import Json, Request, Router, serve, until_stopped

if TYPE_CHECKING:
    from .settings import Settings

MIGRATION_WAIT_SECONDS = 60.0
MINIMUM = (
    ("CONFIGS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION", "0.35.15.001", versions.CONFIGS),
    ("JOBS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION", "0.29.15.001", versions.JOBS),
)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every route needs."""

    settings: Settings
    pool: Pool
    scheduler: Scheduler


def check_migrations(settings: Settings) -> None:
    """Wait until the database is migrated far enough; never write."""
    deadline = time.monotonic() + MIGRATION_WAIT_SECONDS
    while True:
        problem = _problem(settings)
        if not problem:
            return
        if time.monotonic() > deadline or pause(1):
            msg = f"Unable to start: {problem}"
            raise StandinError(msg)


def _problem(settings: Settings) -> str:
    try:
        with connect(settings.airbyte_database(), settings.role) as connection:
            for variable, default, history in MINIMUM:
                least = settings.env.get(variable) or default
                found = flyway.newest(connection, history)
                if found is None or versions.numbers(found) < versions.numbers(least):
                    return f"{history} is at {found}, the least version is {least}"
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def run(settings: Settings) -> int:
    """Check, then serve."""
    check_migrations(settings)
    context = Context(
        settings=settings,
        pool=Pool(settings.airbyte_database(), "server", 10),
        scheduler=Scheduler(settings),
    )
    lab = LabRoutes(context.settings, context.pool, context.scheduler)
    server = serve(settings.port(8001), router(context, lab))
    rows = int(settings.env.get("STANDIN_SEED_ROWS", "0") or 0)
    if rows:
        threading.Thread(target=lab.seed_once, args=(rows,), daemon=True).start()
    log("server: Startup completed")
    until_stopped(server)
    return 0


def router(context: Context, lab: LabRoutes) -> Router:
    """Put all routes together."""
    gatekeeper = auth.Gatekeeper(context.settings)
    routes = Router(gatekeeper.check)
    routes.add("GET", "/api/v1/health", lambda _request: _health(context))
    routes.add("GET", "/api/v1/instance_configuration", lambda _request: _instance(context))
    routes.add("POST", "/api/v1/applications/token", gatekeeper.token)
    Connections(context.settings, context.pool, context.scheduler).add_to(routes)
    routes.add("POST", "/api/v1/connections/status", Statuses(context.pool).read)
    Jobs(context.pool, context.scheduler).add_to(routes)
    lab.add_to(routes)
    if versions.numbers(context.settings.version) >= (1, 8):
        auth.add_pages(routes)
    return routes


def _health(context: Context) -> Json:
    return {"available": bool(context.pool.rows("SELECT 1 AS one"))}


def _instance(context: Context) -> Json:
    done = context.pool.rows("SELECT bool_or(initial_setup_complete) AS done FROM workspace")
    settings = context.settings
    return {
        "edition": "community",
        "version": settings.version,
        "airbyteUrl": settings.env.get("AIRBYTE_URL") or settings.env.get("WEBAPP_URL", ""),
        "initialSetupComplete": bool(done[0]["done"]),
        "auth": {"mode": "simple_auth" if auth.enabled(settings) else "none"},
        "trackingStrategy": settings.env.get("TRACKING_STRATEGY", "logging"),
    }


__all__ = ["Context", "Request", "run"]
