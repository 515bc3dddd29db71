"""No secret of v2 is anywhere in clear, after its cut-over and after every failover.

Runs after the four deaths: what they printed, logged and journaled is searched too.
"""

from __future__ import annotations

from tests.integration.main_job.planted import KEPT, journals, places, planted
from tests.integration.main_job.scene import Scene
from tests.support.secrets_search import search

HOSTS = ("prod", "replica", "core-worker-01", "intermediary")


def test_no_secret_is_found_in_clear(scene: Scene) -> None:
    where = places(scene.deployment, "v2", HOSTS)
    kept = [*journals(scene.deployment, "core-worker-01")]
    kept += journals(scene.deployment, "intermediary")
    found = search([*where, *kept], planted(scene.deployment, "v2"), KEPT)
    assert not found.hits, str(found)
    assert not found.unused, str(found)
