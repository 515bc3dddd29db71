"""v2 final: not built yet. The stage exists so that its stack says so and registers nothing."""

from stages.outputs import StageOutputs
from stages.problems import Problem, SettingsError
from stages.settings import Settings


def build(settings: Settings) -> StageOutputs:
    """Refuse: raises SettingsError with the way out."""
    raise SettingsError(
        settings.stage,
        [
            Problem(
                key="stage",
                found="v2",
                needed="v0 or v1: v2 (prod on abctl, with the intermediary) is not built yet",
                mend="pulumi stack select v1",
            )
        ],
    )
