"""Kubernetes Secrets that `abctl` is given (airbyte-facts 3.1, 3.5)."""

import hashlib
import hmac
from typing import Any

CONFIG_SECRET = "airbyte-config-secrets"  # noqa: S105 - the object's name
AUTH_SECRET = "airbyte-auth-secrets"  # noqa: S105
USER_KEY = "database-user"
PASSWORD_KEY = "database-password"  # noqa: S105
CLIENT_ID = "airbyte-migration"
"""Client id of the API's application; its secret comes from the settings."""
JWT_KEY = "jwt-signature-secret"

Manifest = dict[str, Any]


def config_secret(*, user: str, password: str) -> Manifest:
    """Return the Secret with the database's credential."""
    return _secret(CONFIG_SECRET, {USER_KEY: user, PASSWORD_KEY: password})


def auth_secret(*, admin_password: str, client_secret: str, shared: str) -> Manifest:
    """Return the Secret that pins the login, the API's client and the key of all tokens.

    That key comes from `shared`, a secret that all Airbytes of a deployment have: a token and a
    login outlive a reinstall, a lost host and a change of side. The data plane's credentials are
    not in here: the bootloader makes them together with their rows; the host's script keeps them.
    """
    return _secret(
        AUTH_SECRET,
        {
            "instance-admin-password": admin_password,
            "instance-admin-client-id": CLIENT_ID,
            "instance-admin-client-secret": client_secret,
            JWT_KEY: _derived(shared, JWT_KEY),
        },
    )


def _derived(secret: str, purpose: str) -> str:
    """Return a key of its own for a purpose, from which nobody finds back."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def _secret(name: str, data: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "stringData": data,
    }
