"""Secrets that this process has read, so that no log, message or journal can repeat one.

Nothing of ours writes a secret; this is what stands behind that, should a server or a library quote
one. A secret counts from the moment it is read, a rotated one beside the old.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

SHORTEST = 4
"""A shorter text would be found inside of ordinary words and numbers."""
MASK = "***"
_known: set[str] = set()


def learn(secret: str, *, public: str = "") -> str:
    """Remember a secret and return it; one that equals `public`, its user's name, hides nothing."""
    if len(secret) >= SHORTEST and secret != public:
        escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
        _known.update({secret, quote(secret, safe=""), escaped, secret.replace("'", "''")})
    return secret


def mask(text: str) -> str:
    """Return `text` without the secrets in it; a part of a longer word is not one."""
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = re.sub(rf"(?<![\w]){re.escape(secret)}(?![\w])", MASK, text)
    return text


def masked(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Mask every text in a structure; keys are ours and stay."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner) for inner in value]
    if isinstance(value, BaseException):
        return mask(str(value))
    return value


def processor(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Mask a line of the log (structlog)."""
    return {key: masked(value) for key, value in event.items()}
