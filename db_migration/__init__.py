"""Moves Airbyte's database to another server and keeps the copy in step. Runs without Pulumi."""
