"""The operator's files as they are found in the wild: other lines, other formats, no sense."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stages import operator_checks
from stages.models import HostSettings, Operator
from stages.operator_checks import OperatorFiles
from tests.support import mocks
from tests.unit.stages import stack_files

HOSTS = {"prod": HostSettings(address="192.0.2.1")}
HOST_KEY = stack_files.host_key(1)
GOOD = f"192.0.2.1 {HOST_KEY}\n"


def private_key(*, passphrase: bytes | None, openssh: bool = True) -> bytes:
    formats = serialization.PrivateFormat
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        formats.OpenSSH if openssh else formats.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )


def judged(folder: Path, *, identity: bytes, known_hosts: bytes) -> OperatorFiles:
    (folder / "key").write_bytes(identity)
    (folder / "known_hosts").write_bytes(known_hosts)
    operator = Operator(
        identity_file=str(folder / "key"), known_hosts_file=str(folder / "known_hosts")
    )
    found: list[OperatorFiles] = []
    mocks.declare(
        lambda: found.append(operator_checks.judge(operator, HOSTS)),
        config={},
        secrets={},
        stack="v1",
    )
    return found[0]


@pytest.mark.parametrize("openssh", [True, False])
def test_a_key_without_a_passphrase_is_taken(tmp_path: Path, openssh: bool) -> None:
    key = private_key(passphrase=None, openssh=openssh)
    found = judged(tmp_path, identity=key, known_hosts=GOOD.encode())
    assert found.problems == []
    assert found.private_key == key.decode()
    assert found.host_keys == {"prod": HOST_KEY}


@pytest.mark.parametrize("openssh", [True, False])
def test_a_locked_key_is_refused(tmp_path: Path, openssh: bool) -> None:
    key = private_key(passphrase=b"planted", openssh=openssh)
    (problem,) = judged(tmp_path, identity=key, known_hosts=GOOD.encode()).problems
    assert problem.key == "operator.identityFile"
    assert "which a passphrase locks" in problem.found
    assert "ssh-keygen -t ed25519 -N ''" in problem.mend


@pytest.mark.parametrize("content", [b"", HOST_KEY.encode(), b"\xff\xfe\x00"])
def test_what_is_no_private_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (problem,) = judged(tmp_path, identity=content, known_hosts=GOOD.encode()).problems
    assert "which holds no private key" in problem.found


@pytest.mark.parametrize(
    "other",
    [
        b"# a comment\n\n",
        b"@cert-authority *.example.com ssh-ed25519 AAAA\n",
        b"192.0.2.9 ssh-ed25519 no/base64!\n",
        b"192.0.2.9 ssh-ed25519 AAAA\n",
        b"192.0.2.9\n",
        b"\xff\xfe\x80 garbage\n",
    ],
)
def test_other_lines_do_not_spoil_known_hosts(tmp_path: Path, other: bytes) -> None:
    key = private_key(passphrase=None)
    found = judged(tmp_path, identity=key, known_hosts=other + GOOD.encode())
    assert found.host_keys == {"prod": HOST_KEY}


def test_a_revoked_key_is_not_trusted(tmp_path: Path) -> None:
    key = private_key(passphrase=None)
    revoked = f"@revoked * {HOST_KEY}\n"
    (problem,) = judged(tmp_path, identity=key, known_hosts=(revoked + GOOD).encode()).problems
    assert problem.key == "hosts.prod.address"
