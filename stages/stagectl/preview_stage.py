"""The verb `preview`: a stage on the promoted state, without touching anything real."""

from stages.stagectl import commands, preview
from stages.stagectl.commands import Workbench
from stages.stagectl.errors import RefusedError, UsageError
from stages.stagectl.plan import STAGES
from stages.stagectl.preview import Preview
from stages.stagectl.preview_report import Ground, Report, ground_of
from stages.stagectl.state import State


def look(bench: Workbench, stage: str) -> Report:
    """Preview `stage` in a scratch backend, on a copy of what is deployed."""
    if stage not in STAGES:
        raise UsageError(
            found=f"stage {stage}",
            needed=f"one of {', '.join(STAGES)}",
            way_out="`stagectl status` shows what there is.",
        )
    bench.project.check_stack_file(stage)
    _check_no_promotion(bench)
    present = [s for s in STAGES if bench.project.stack_file(s).is_file()]
    states = commands.read_states(bench, *present)
    holder = _holder(states)
    found = _previewed(bench, stage, holder, states)
    return Report(stage=stage, holder=holder, preview=found)


def _previewed(
    bench: Workbench, stage: str, holder: str | None, states: dict[str, State]
) -> Preview:
    ground = ground_of(stage, holder)
    if holder is None or ground is Ground.PASSED:
        with commands.copied(bench, {}) as copy:
            copy.pulumi.create(stage)
            return preview.read(stage, copy.pulumi.preview(stage))
    with commands.copied(bench, {holder: states[holder]}) as copy:
        if ground is Ground.HELD:
            return preview.read(stage, copy.pulumi.preview(stage))
        promoter = copy.promoter(holder, stage, strict=False)
        promoter.run()
        if promoter.result is None:
            raise AssertionError
        return promoter.result


def _holder(states: dict[str, State]) -> str | None:
    holders = [stage for stage, state in states.items() if state.keys]
    if len(holders) > 1:
        raise RefusedError(
            found=f"{' and '.join(holders)} both hold resources",
            needed="the deployment whole in one stage",
            way_out="A promotion may be under way elsewhere: wait for it, or finish it there.",
        )
    return holders[0] if holders else None


def _check_no_promotion(bench: Workbench) -> None:
    last = commands.last_promotion(bench)
    if last and last.state in ("open", "undoing"):
        raise RefusedError(
            found=f"the promotion {last.source} -> {last.dest} is unfinished",
            needed="the deployment whole in one stage",
            way_out=f"Finish it (`stagectl promote {last.source} {last.dest}`) or take it back "
            "(`stagectl undo`).",
        )
