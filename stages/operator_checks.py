"""What the settings point to on the operator's machine: the private key, and the hosts' keys."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from stages.models import HostSettings, Operator
from stages.problems import Problem, set_command, shown

SSH_PORT = 22
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
"""Which of a host's keys is pinned when known_hosts has several."""
OWN_KEY = "~/.ssh/airbyte-migration"
REVOKED = "@revoked"


@dataclass(kw_only=True)
class OperatorFiles:
    """What was found, and what is wrong with the rest."""

    problems: list[Problem] = field(default_factory=list)
    private_key: str = ""
    host_keys: dict[str, str] = field(default_factory=dict)


def judge(operator: Operator, hosts: Mapping[str, HostSettings]) -> OperatorFiles:
    """Read both files and find each host's key."""
    found = OperatorFiles()
    _identity(operator.identity_file, found)
    trusted = _known_hosts(operator.known_hosts_file, found)
    if trusted is not None:
        for name, host in hosts.items():
            _host_key(name, host, trusted, operator.known_hosts_file, found)
    return found


def _read(path: str) -> str | None:
    try:
        return Path(path).expanduser().read_text(errors="replace")
    except (OSError, RuntimeError):  # RuntimeError: `~name` of nobody
        return None


def _identity(path: str, found: OperatorFiles) -> None:
    text = _read(path)
    key = "operator.identityFile"
    what, needed = "", "the operator's private SSH key"
    mend = set_command(key, "~/.ssh/id_ed25519")
    if text is None:
        what = "which is no file that can be read"
    elif "PRIVATE KEY-----" not in text:
        what = "which holds no private key"
    elif _locked(text):
        what, needed = "which a passphrase locks", "a private key without one: nobody is asked"
        mend = f"ssh-keygen -t ed25519 -N '' -f {OWN_KEY}, its public half on every host, then "
        mend += set_command(key, OWN_KEY)
    if what:
        problem = Problem(key=key, found=f"{shown(path)}, {what}", needed=needed, mend=mend)
        found.problems.append(problem)
    found.private_key = text or ""


def _locked(key: str) -> bool:
    """Whether a private key is encrypted; OpenSSH's own format says so in its first bytes."""
    body = "".join(line for line in key.splitlines() if not line.startswith("-----"))[:88]
    try:
        head = base64.b64decode(body)
    except ValueError:
        head = b""
    return "ENCRYPTED" in key or b"bcrypt" in head


def _known_hosts(path: str, found: OperatorFiles) -> paramiko.HostKeys | None:
    """Return the keys to trust; None when there is no file."""
    text = _read(path)
    if text is None:
        found.problems.append(
            Problem(
                key="operator.knownHostsFile",
                found=f"{shown(path)}, which is no known_hosts file",
                needed="a file with the key of every host",
                mend=set_command("operator.knownHostsFile", "~/.ssh/known_hosts"),
            )
        )
        return None
    return _trusted(text)


def _trusted(text: str) -> paramiko.HostKeys:
    """Read known_hosts as ssh does: a line that makes no sense does not spoil the others."""
    lines = text.splitlines()
    revoked = {line.split()[-1] for line in lines if line.startswith(REVOKED)}
    trusted = paramiko.HostKeys()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(("#", "@")):
            continue
        try:
            entry = HostKeyEntry.from_line(line, number)
        except (InvalidHostKey, paramiko.SSHException, ValueError):
            continue
        if entry is None or entry.key.get_base64() in revoked:
            continue
        for name in entry.hostnames:
            trusted.add(name, entry.key.get_name(), entry.key)
    return trusted


def _host_key(
    name: str, host: HostSettings, trusted: paramiko.HostKeys, file: str, found: OperatorFiles
) -> None:
    port = host.ssh_port
    known_as = host.address if port == SSH_PORT else f"[{host.address}]:{port}"
    keys: Mapping[str, paramiko.PKey] = trusted.lookup(known_as) or {}
    for kind in KEY_TYPES:
        if kind in keys:
            found.host_keys[name] = f"{kind} {keys[kind].get_base64()}"
            return
    found.problems.append(
        Problem(
            key=f"hosts.{name}.address",
            found=f"no key of `{known_as}` in {file}",
            needed="the host's key, compared with the host's own console",
            mend=f"ssh-keyscan -t ed25519 -p {port} {host.address} >> {file}",
        )
    )
