"""Entry point of ``pulumi-resource-postgresql``."""

from __future__ import annotations

from engine.plugins.postgresql.database import Database
from engine.plugins.postgresql.grant import Grant
from engine.plugins.postgresql.membership import DefaultPrivileges, GrantRole
from engine.plugins.postgresql.role import Role
from engine.plugins.postgresql.schema import Extension, Schema
from engine.plugins.resource import Resource
from engine.plugins.server import serve


def resources() -> list[Resource]:
    """Every resource this plugin serves."""
    return [
        Role(),
        Database(),
        Grant(),
        GrantRole(),
        DefaultPrivileges(),
        Schema(),
        Extension(),
    ]


def main(version: str) -> None:
    """Serve until the engine ends us."""
    serve(version, resources())
