"""The intermediary ("TBD"): the database server that prod moves to (docs/adr/0002)."""

from components.database_server import DatabaseServer


class Intermediary(DatabaseServer):
    """A copy of prod's database until the cut-over promotes it; prod's database from then on."""

    TYPE = "airbyte-migration:index:Intermediary"
