"""Fixtures of the conformance tests: an Airbyte's database, a host with the strict abctl."""

from tests.conformance.conftest import host, make_airbyte, servers

__all__ = ["host", "make_airbyte", "servers"]
