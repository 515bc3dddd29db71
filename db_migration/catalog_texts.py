"""Texts of definitions, and which of them are the same on servers of different versions."""

from __future__ import annotations

import re

TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\d+(?:\.\d+)?|\w+|\s+|.""", re.DOTALL)
ITEM = re.compile(r"(?:(?:'(?:[^']|'')*'|NULL)::character varying|[a-z_]\w*(?:\.\w+)*)")
VARCHARS = re.compile(rf"\(\(ARRAY\[({ITEM.pattern}(?:, {ITEM.pattern})*)\]\)::text\[\]\)")
SEVERAL = frozenset({"UNION", "INTERSECT", "EXCEPT"})
AFTER_FROM = frozenset(
    {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", ";"}
    | {"TABLESAMPLE"}
)


def plain(line: str) -> str:
    """Return a definition without what differs by version only: how a list of varchar is cast."""
    return VARCHARS.sub(
        lambda found: "(ARRAY["
        + ", ".join(f"({one})::text" for one in ITEM.findall(found[1]))
        + "])",
        line,
    )


def view(text: str) -> str:
    """Return a view's text in the form that the texts of all servers have in common.

    Up to PostgreSQL 15 `table.` stands before each column of a view of one table, from 16 on it is
    left out, so it is gone from both. Of several tables each name counts: a column may be taken
    from another of them.
    """
    words = _words(plain(text))
    name = _only_relation(words)
    spaced = f" {' '.join(words)} "
    return spaced.replace(f" {name} . ", " ") if name else spaced


def _words(text: str) -> list[str]:
    return [part for part in TOKEN.findall(text) if part.strip()]


def _only_relation(words: list[str]) -> str | None:
    """Return what the outermost query calls the one relation it reads; None if there are several.

    A join stands in brackets; what is deeper belongs to another query, which is printed alike.
    """
    depth, reading, name = 0, False, None
    for word in words:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(word, 0)
        if (depth == 1 and word == "JOIN") or (depth == 0 and word in SEVERAL):
            return None
        if depth:
            continue
        reading = word == "FROM" or (reading and word not in AFTER_FROM)
        if reading and word == ",":
            return None
        if reading and word != "FROM" and word[0] not in ").":
            name = word
    return name
