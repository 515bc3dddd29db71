"""core-worker-01: the database server that holds the live copy, and takes over if it must."""

from components.database_server import DatabaseServer


class CoreWorker(DatabaseServer):
    """The copy: the mirror that feeds write, and the working database of the standby."""

    TYPE = "airbyte-migration:index:CoreWorker"
