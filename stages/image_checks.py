"""Which images a stage needs, and whether the settings give each of them by digest."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airbyte import images
from stages.problems import NOTHING, Problem, below, remove_command, set_command, shown

DIGEST = re.compile(r"^[^@\s]+@sha256:[0-9a-f]{64}$")
NEEDED = "a JSON file (image key: reference by digest), or the mapping `images`"


@dataclass(kw_only=True)
class Images:
    """References that are good, and what is wrong with the others."""

    references: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def needed(*, compose: bool, feed: bool, postgres: bool) -> list[str]:
    """Return the keys of the images that a stage runs."""
    return [
        *(images.COMPOSE if compose else ()),
        *((images.DB_MIGRATION,) if feed else ()),
        *((images.POSTGRES,) if postgres else ()),
    ]


def judge(keys: list[str], *, file: str | None, inline: Mapping[str, Any] | None) -> Images:
    """Find each needed image; a tag is refused, since it may mean another image tomorrow."""
    found = Images()
    if file and inline:
        found.problems.append(
            Problem(
                key="imagesFile",
                found=f"{file}, and `images` too",
                needed="one of the two",
                mend=remove_command("imagesFile"),
            )
        )
    source = _read(file, found) if file else inline
    if not file and inline is None and keys:
        mend = set_command("imagesFile", "images.json")
        found.problems.append(Problem(key="imagesFile", found=NOTHING, needed=NEEDED, mend=mend))
        return found
    if source is None:
        return found
    if not file:
        found.problems += _unknown(source)
    for key in keys:
        reference = source.get(key)
        if isinstance(reference, str) and DIGEST.match(reference):
            found.references[key] = reference
        else:
            found.problems.append(_bad(key, file, reference))
    return found


def _read(file: str, found: Images) -> dict[str, Any] | None:
    try:
        content = json.loads(Path(file).expanduser().read_text())
    except (OSError, RuntimeError, ValueError):
        content = None
    if isinstance(content, dict):
        return content
    found.problems.append(
        Problem(
            key="imagesFile",
            found=f"{shown(file)}, which is no JSON mapping",
            needed=NEEDED,
            mend=set_command("imagesFile", "images.json"),
        )
    )
    return None


def _unknown(source: Mapping[str, Any]) -> Iterable[Problem]:
    for key in sorted(set(source) - images.KNOWN):
        path = below("images", key)
        yield Problem(
            key=path,
            found="unknown image",
            needed=f"one of {', '.join(sorted(images.KNOWN))}",
            mend=remove_command(path),
        )


def _bad(key: str, file: str | None, reference: object) -> Problem:
    path = below("images", key)
    example = f"REGISTRY/{key}@sha256:DIGEST"
    return Problem(
        key=f"imagesFile ({key})" if file else path,
        found=shown(reference) + (f" in {file}" if file else ""),
        needed="a reference by digest (REPOSITORY@sha256: and 64 hex digits)",
        mend=f'put "{key}": "{example}" into {file}' if file else set_command(path, example),
    )
