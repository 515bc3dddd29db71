"""Kubernetes Secrets over reinstalls: what dies with the cluster, and what a kept copy saves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conformance.abctl_host import Host
from tests.conformance.harness import CallFailedError, call

if TYPE_CHECKING:
    pass

AUTH = "airbyte-auth-secrets"
MINE = {
    "instance-admin-password": "mine",
    "instance-admin-client-id": "me",
    "instance-admin-client-secret": "my-secret",
}
PLANES = "SELECT count(*) FROM dataplane_client_credentials"


def token(host: Host) -> str:
    body = {"client_id": "me", "client_secret": "my-secret"}
    url = f"http://127.0.0.1:{host.port}/api/v1/applications/token"
    return str(call(url, body)["access_token"])


def workspaces(host: Host, bearer: str) -> int:
    url = f"http://127.0.0.1:{host.port}/api/v1/workspaces/list"
    return len(call(url, {}, {"Authorization": f"Bearer {bearer}"})["workspaces"])


def kept(host: Host) -> dict[str, str]:
    """Read the Secret as the hosts' script does."""
    words = ("get", "secret", AUTH, "-o", "jsonpath={.data}")
    return dict(json.loads(host.kubectl(*words).stdout))


@pytest.fixture
def installed(host: Host) -> Host:
    host.secrets[AUTH] = MINE
    done = host.install()
    assert done.returncode == 0, done.stdout
    return host


def test_without_a_copy_tokens_and_data_plane_are_void_after_a_reinstall(installed: Host) -> None:
    """2.2, 3.5, trap 17: the Secrets die with the cluster; the database keeps its rows."""
    before, bearer = installed.secret(), token(installed)
    assert installed.abctl("uninstall").returncode == 0
    assert installed.install().returncode == 0
    assert installed.secret()["jwt-signature-secret"] != before["jwt-signature-secret"]
    with pytest.raises(CallFailedError) as refused:
        workspaces(installed, bearer)
    assert refused.value.status == 401
    assert installed.airbyte.one(PLANES) == 2


def test_a_kept_copy_saves_them(installed: Host) -> None:
    """3.5: an existing value is kept; Kubernetes writes `stringData` over `data`."""
    before, bearer, copy = installed.secret(), token(installed), kept(installed)
    assert set(copy) == set(before)
    assert installed.abctl("uninstall").returncode == 0
    installed.data[AUTH] = copy
    assert installed.install().returncode == 0
    assert installed.secret() == before
    assert workspaces(installed, bearer) == 1
    assert installed.airbyte.one(PLANES) == 1


def test_credentials_of_another_database_are_replaced_with_their_rows(installed: Host) -> None:
    """6: credentials that no row knows are as good as none; login and tokens stay."""
    before, bearer, copy = installed.secret(), token(installed), kept(installed)
    installed.airbyte.sql("DELETE FROM dataplane_client_credentials")
    assert installed.abctl("uninstall").returncode == 0
    installed.data[AUTH] = copy
    assert installed.install().returncode == 0
    after = installed.secret()
    assert after["dataplane-client-secret"] != before["dataplane-client-secret"]
    row = "SELECT client_secret FROM dataplane_client_credentials"
    assert installed.airbyte.one(row) == after["dataplane-client-secret"]
    assert workspaces(installed, bearer) == 1
