"""SSH keys of the lab: the operator's, and one host key a host, made on the operator's side.

Made here and not on the hosts, so that `known_hosts` is right before a host is dialled at all.
"""

from pathlib import Path

from lab.errors import LabError
from lab.process import output
from lab.spec import LabSpec, Machine

SSH_PORT = 22


def _pair(private: Path, comment: str) -> None:
    if private.exists() and private.with_suffix(".pub").exists():
        return
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    private.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)]
    result = output(command)
    if result.returncode:
        raise LabError(
            found=f"ssh-keygen could not write {private}: {result.stderr.strip()}",
            needed="an ed25519 key pair",
            way_out="make the folder writable and run `python -m lab up` again",
        )


def host_key(spec: LabSpec, host: Machine) -> Path:
    """Folder with the host's key pair, mounted into the host."""
    return spec.folder / "keys" / "hosts" / host.name


def operator_public_key(spec: LabSpec) -> str:
    """The line for authorized_keys."""
    return spec.operator_key.with_suffix(".pub").read_text().strip()


def ensure(spec: LabSpec) -> None:
    """Make what is missing and write known_hosts; existing keys stay (clients have pinned them)."""
    _pair(spec.operator_key, f"operator@{spec.name}")
    lines = []
    for host in spec.hosts:
        private = host_key(spec, host) / "ssh_host_ed25519_key"
        _pair(private, f"root@{host.name}")
        kind, key, _ = private.with_suffix(".pub").read_text().split(maxsplit=2)
        lines.append(f"[127.0.0.1]:{spec.loopback_port(host, SSH_PORT)} {kind} {key}")
        lines.append(f"{spec.address(host)} {kind} {key}")
    spec.known_hosts.write_text("\n".join(lines) + "\n")


def ssh_command(spec: LabSpec, host: Machine) -> list[str]:
    """`ssh …` up to and with the destination; host key checked, nothing asked."""
    options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ConnectTimeout=5",
        f"UserKnownHostsFile={spec.known_hosts}",
    ]
    flags = [part for option in options for part in ("-o", option)]
    port = str(spec.loopback_port(host, SSH_PORT))
    return ["ssh", "-i", str(spec.operator_key), *flags, "-p", port, "root@127.0.0.1"]
