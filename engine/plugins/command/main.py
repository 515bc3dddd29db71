"""Entry point of ``pulumi-resource-command``."""

from __future__ import annotations

from engine.plugins.command.local import LocalCommand
from engine.plugins.command.remote import RemoteCommand
from engine.plugins.command.upload import CopyToRemote
from engine.plugins.resource import Resource
from engine.plugins.server import serve


def resources() -> list[Resource]:
    """Every resource this plugin serves."""
    return [LocalCommand(), RemoteCommand(), CopyToRemote()]


def main(version: str) -> None:
    """Serve until the engine ends us."""
    serve(version, resources())
