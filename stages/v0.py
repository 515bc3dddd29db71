"""v0 initial: Airbyte and its database on one host, as Docker Compose has them."""

from airbyte import compose
from stages import foundation
from stages.outputs import NEXT_V0, StageOutputs
from stages.settings import Settings


def build(settings: Settings) -> StageOutputs:
    """Declare v0."""
    ground = foundation.lay(settings)
    airbyte = foundation.prod(settings, ground)
    return StageOutputs(
        stage=settings.stage,
        deployment=settings.deployment,
        airbyte={foundation.PROD_AIRBYTE: f"{airbyte.url} (prod: syncs)"},
        databases={"prod": database(settings)},
        next=NEXT_V0,
    )


def database(settings: Settings) -> str:
    """Return where prod's database is."""
    return (
        f"container {compose.DATABASE_CONTAINER} on host {settings.prod.host}, "
        f"database {compose.DATABASE_NAME}"
    )
