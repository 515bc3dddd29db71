"""Benchmarks: ours against its peers on one generated Airbyte-shaped database."""
