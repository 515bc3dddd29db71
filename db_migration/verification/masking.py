"""What of a row may be shown to people. Pure; in doubt a value is masked."""

from __future__ import annotations

import hmac
import re
import secrets

from airbyte.tables import SECRET_COLUMNS
from db_migration.catalog import Column, Table

HIDDEN_TYPES = frozenset({"json", "jsonb", "bytea", "xml", "hstore", "tsvector"})
"""Documents: connectors' configurations and catalogs, in which a secret may be anywhere."""

SHOWN_CHARACTERS = 80
_NAME = re.compile(
    r"pass|secret|token|credential|private|api_?key|client_id|payload|configuration|cookie"
    r"|salt|signature|invite|session|auth|pwd|conn(ection)?_?(string|uri|url)"
    r"|(?<!primary)(?<!foreign)(?<!unique)(?<!partition)_key(_|$)|(access|account|ssh)key"
    r"|(^|_)(pw|pin|dsn)(_|$)",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"pass(word|wd|phrase)|pwd|(?<![a-z])pw(?![a-z])|\b(pin|dsn)\s*[=:]|connection.?string"
    r"|(access|account|ssh).?key|secret|token|api.?key|credential|bearer|private|authorization"
    r"|://[^/\s]*@|^\s*[\[{]\s*[\[{\"]|^\s*<|-----BEGIN"
    r"|^\([\s\S]*[\[{<]|(^|[(,\"{])\\+x[0-9a-f]|\"=>",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"(?=[\w+/=.-]*\d)(?=[\w+/=.-]*[A-Za-z])[\w+/=.-]{20,}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4,6}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?( BC)?")
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_COLUMN = re.compile(r"\bcolumn (\S+)")
_RUN = secrets.token_bytes(16)
"""Of this process only, so that a mask can not be tried out against guesses."""


def hidden(table: Table, columns: list[Column]) -> set[str]:
    """Return the columns whose values never leave the server: by Airbyte's schema, type, name."""
    known = SECRET_COLUMNS.get(table.name, frozenset())
    return {
        column.name
        for column in columns
        if column.name in known
        or column.base.removeprefix("_") in HIDDEN_TYPES
        or _NAME.search(column.name)
    }


def shown(text: str | None) -> str | None:
    """Return a value as people may see it: shortened, and masked if it looks like a secret."""
    if text is None or text.startswith("(masked"):
        return text
    if looks_secret(text):
        return f"(masked, {len(text)} characters)"
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def definition(line: str) -> str:
    """Return a definition without the texts in it that look like secrets.

    That of a column whose name says so is one whatever it looks like.
    """
    if line.count("'") % 2 and looks_secret(line):  # a quote in a name: where texts begin is unsure
        return f"(masked, {len(line)} characters)"
    column = _COLUMN.search(line)
    named = column is not None and _NAME.search(column[1]) is not None

    def text(found: re.Match[str]) -> str:
        secret = found[1] and (named or looks_secret(found[1]))
        return f"'(masked, {len(found[1])} characters)'" if secret else found[0]

    return _LITERAL.sub(text, line)


def looks_secret(text: str) -> bool:
    """Tell whether a text says that it is a secret, or is long and as if drawn by lot."""
    if _UUID.fullmatch(text) or _MOMENT.fullmatch(text):
        return False
    return bool(_VALUE.search(text) or _RANDOM.search(text))


def key(name: str, parts: list[str], concealed: set[str]) -> str:
    """Return a row's name; one that holds a secret becomes a number that only tells rows apart."""
    plain = _UUID.sub("", _MOMENT.sub("", name))
    if concealed.isdisjoint(parts) and not looks_secret(plain.strip("{}")):
        return name
    return f"(masked #{hmac.new(_RUN, name.encode(), 'sha256').hexdigest()[:8]})"
