"""What is known of an Airbyte that runs already."""

from airbyte import inspection
from airbyte.inspection import CONTAINERS, Adopted


def test_only_what_the_compose_file_names_and_keeps_running_is_looked_for() -> None:
    assert "airbyte-db" in CONTAINERS
    assert not {"init", "airbyte-bootloader", "airbyte-docker-proxy"} & set(CONTAINERS)


def test_what_the_host_printed_is_read() -> None:
    text = '{"version":"0.63.15","network":"mine_airbyte_internal","databaseVolume":"airbyte_db"}\n'
    assert inspection.read(text) == Adopted(
        version="0.63.15", network="mine_airbyte_internal", database_volume="airbyte_db"
    )
