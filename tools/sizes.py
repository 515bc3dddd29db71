"""Refuse files over 300 lines, functions over 40 and constructors over 60, docstrings not counted.

A line that says `# size: <reason>` lifts the ceiling for its file or function. Prints each
offender and exits 1 when there is one.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, FUNCTION_LINES, CONSTRUCTOR_LINES = 300, 40, 60


def offenders(path: Path) -> Iterator[str]:
    """Yield one line of text for each ceiling that the file at `path` breaks."""
    source = path.read_text()
    lines = source.splitlines()
    if len(lines) > FILE_LINES and "# size:" not in source:
        yield f"{path}: {len(lines)} lines (ceiling {FILE_LINES})"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node, clean=False)
        size = (node.end_lineno or node.lineno) - node.lineno + 1
        size -= text.count("\n") + 1 if text else 0
        ceiling = CONSTRUCTOR_LINES if node.name == "__init__" else FUNCTION_LINES
        if size > ceiling and "# size:" not in lines[node.lineno - 1]:
            yield f"{path}:{node.lineno} {node.name}: {size} lines (ceiling {ceiling})"


def main() -> int:
    """Check every Python and bash file that git would commit; return the exit code."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py", "*.bash"],
        check=True,
        capture_output=True,
        text=True,
    )
    files = [Path(name) for name in listed.stdout.splitlines() if Path(name).exists()]
    found = [line for path in files for line in offenders(path)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
