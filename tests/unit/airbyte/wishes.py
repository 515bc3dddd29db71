"""Installations that the tests render, and the command that renews their golden files.

python -m tests.unit.airbyte.wishes
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import yaml

from airbyte import chart_secrets, chart_values, versions
from airbyte.chart_values import Access, ExternalDatabase, Wish
from airbyte.renderings import Rendering
from airbyte.versions import Chart

GOLDEN = Path(__file__).parent / "golden"
DATABASE = ExternalDatabase(host="10.0.0.13", port=5432, name="airbyte", tls=True)
PLAIN = ExternalDatabase(host="10.0.0.13", port=5432, name="airbyte", tls=False)
HTTP = Access(url="http://192.0.2.12:8000")
NAMED = Access(url="https://airbyte.example.com", host="airbyte.example.com")


def wish(chart: Chart, access: Access = HTTP, *, low_resource: bool = False) -> Wish:
    return Wish(chart=chart, access=access, low_resource=low_resource)


def files() -> Iterator[tuple[str, str]]:
    """Yield every golden file's path and content."""
    for chart, database, rendering in product(
        versions.CHARTS.values(), (DATABASE, PLAIN), Rendering
    ):
        wanted = wish(chart, HTTP if database.tls else NAMED, low_resource=not database.tls)
        folder = f"{chart.version}/{'tls' if database.tls else 'plain'}/{rendering}"
        found = chart_values.values(wanted, database, rendering)
        yield f"{folder}/values.yaml", yaml.safe_dump(found)
        flags = chart_values.install_arguments(wanted, port=8000)
        yield f"{folder}/install.args", "\n".join(flags) + "\n"
    config = chart_secrets.config_secret(user="airbyte_prod", password="example-password")
    yield "secrets.yaml", yaml.safe_dump(config)
    auth = chart_secrets.auth_secret(
        admin_password="example-admin", client_secret="example-client", shared="example-password"
    )
    yield "auth.yaml", yaml.safe_dump(auth)


def main() -> None:
    for path, content in files():
        file = GOLDEN / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main()
