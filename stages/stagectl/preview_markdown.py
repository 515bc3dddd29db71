"""A preview as one Markdown comment: the summary first, and never more than a comment holds.

Only names and keys come in here; what stands in them is quoted as code, so that it can neither
break the table nor call anybody. No I/O.
"""

import re
from collections.abc import Iterable

from stages.stagectl.errors import StagectlError
from stages.stagectl.preview import Change
from stages.stagectl.preview_report import WORDS, Report

COMMENT_BYTES = 65_000
"""GitHub refuses comments over 65536 characters; some room for what a workflow adds."""
LEAST_BYTES = 2_000
RESERVE_BYTES = 500
NAME_CHARACTERS = 120
MOST_KEYS = 12
UNFOLDED_ROWS = 20
TABLE_HEAD = ["", "| do | resource | name | changed properties |", "|---|---|---|---|"]


def render(report: Report, limit: int = COMMENT_BYTES) -> str:
    """Give the report in at most `limit` bytes; the summary always stays."""
    lines = [f"### {report.stage}: {report.summary}", "", report.sentence]
    left = limit - RESERVE_BYTES - _size(lines)
    violations = report.preview.violations
    if violations:
        warnings, left = _fitting([_warning(c) for c in violations], left)
        lines += ["", "> [!WARNING]", *warnings]
        if len(warnings) < len(violations):
            lines.append(f"> - and **{len(violations) - len(warnings)} more** of this kind")
    rows, _ = _fitting([_row(c) for c in report.changes], left)
    if rows:
        folded = len(rows) > UNFOLDED_ROWS
        opening = ["", "<details><summary>The changes one by one</summary>"] if folded else []
        lines += [*opening, *TABLE_HEAD, *rows, *(["", "</details>"] if folded else [])]
    if missing := len(report.changes) - len(rows):
        lines += ["", f"{missing} more changes: `stagectl preview {report.stage}` shows all."]
    return "\n".join(lines) + "\n"


def render_error(stage: str, error: StagectlError, limit: int = COMMENT_BYTES) -> str:
    """Give an error, as the program said it."""
    text = error.details or f"{error.found}\nneeded: {error.needed}"
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    body, _ = _fitting(text.splitlines(), limit - RESERVE_BYTES - _size([error.way_out]))
    cut = ["(cut)"] if len(body) < len(text.splitlines()) else []
    head = [f"### {stage}: no preview", "", f"{fence}text", *body, *cut, fence]
    return "\n".join([*head, "", _plain(error.way_out)]) + "\n"


def _warning(change: Change) -> str:
    because = f", because of {_keys(change)}" if change.reasons else ""
    word = WORDS.get(change.op, change.op)
    return f"> - would **{word}** {_code(change.name)} ({_code(change.type)}){because}"


def _row(change: Change) -> str:
    word = WORDS.get(change.op, change.op)
    do = f"**{word}**" if change.violates else word
    cells = [do, _code(change.type), _code(change.name), _keys(change)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _keys(change: Change) -> str:
    shown = [_code(key) for key in change.reasons[:MOST_KEYS]]
    more = len(change.reasons) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def _code(text: str) -> str:
    one_line = " ".join(text.replace("`", "'").split())
    cut = one_line[: NAME_CHARACTERS - 1] + "…" if len(one_line) > NAME_CHARACTERS else one_line
    return f"`{cut}`"


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("@", "@\u200b")


def _fitting(lines: Iterable[str], left: int) -> tuple[list[str], int]:
    """Take lines as long as there is room; tell what room is left."""
    taken: list[str] = []
    for line in lines:
        left -= _size([line])
        if left < 0:
            return taken, 0
        taken.append(line)
    return taken, left


def _size(lines: list[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
