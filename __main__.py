"""The program: settings -> hosts that answer -> stage -> exports."""

from collections.abc import Callable

import pulumi

from stages import reachability, settings, v0, v1, v2
from stages.models import Stage
from stages.outputs import StageOutputs
from stages.settings import Settings

BUILDERS: dict[Stage, Callable[[Settings], StageOutputs]] = {
    Stage.V0: v0.build,
    Stage.V1: v1.build,
    Stage.V2: v2.build,
}

loaded = settings.load()
reachability.check(loaded)
for name, value in BUILDERS[loaded.stage](loaded).exports().items():
    pulumi.export(name, value)
