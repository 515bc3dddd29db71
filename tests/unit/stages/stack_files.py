"""The committed stack files with planted secrets, and a home folder with what they point to."""

import base64
import json
import runpy
import struct
from dataclasses import dataclass
from pathlib import Path

import yaml

from airbyte import images
from tests.support import mocks
from tests.support.mocks import PROJECT, Recorder

ROOT = Path(__file__).resolve().parents[3]
LAB = Path(".cache/airbyte-migration/lab")
PRIVATE_KEY = "planted-private-key"


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """A committed stack file with its secrets replaced by planted ones."""

    stack: str
    plain: dict[str, str]
    secrets: dict[str, str]

    @property
    def planted(self) -> set[str]:
        """Every secret value that must not show."""
        return {*self.secrets.values(), PRIVATE_KEY}


def stack_file(stack: str) -> StackFile:
    """Read `Pulumi.<stack>.yaml`, and the defaults of the schema, as the engine passes them on."""
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    plain = {f"{PROJECT}:{key}": _as_config(entry["default"]) for key, entry in schema.items()}
    secrets: dict[str, str] = {}
    for key, value in yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"].items():
        if isinstance(value, dict) and "secure" in value:
            secrets[key] = f"planted-{key.partition(':')[2]}"
            del plain[key]
        else:
            plain[key] = _as_config(value)
    return StackFile(stack=stack, plain=plain, secrets=secrets)


def _as_config(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def run_program(
    file: StackFile, *, preview: bool = False, recorder: Recorder | None = None
) -> Recorder:
    """Run the real `__main__.py` with the settings of `file`."""
    return mocks.declare(
        lambda: runpy.run_path(str(ROOT / "__main__.py")),
        config=file.plain,
        secrets=file.secrets,
        stack=file.stack,
        recorder=recorder or Recorder(preview=preview),
    )


def lay_lab_files(home: Path) -> None:
    """Put the files of a lab, which the committed stack files name, below `home`."""
    folder = home / LAB
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "operator").write_text(
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PRIVATE_KEY}\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    ports = (2211, 2212, 2213, 2214)
    (folder / "known_hosts").write_text(
        "".join(f"[127.0.0.1]:{port} {host_key(port)}\n" for port in ports)
    )
    references = {
        key: f"registry/{key}@sha256:{index:064x}" for index, key in enumerate(images.KNOWN)
    }
    (folder / "images.json").write_text(json.dumps(references))


def host_key(port: int) -> str:
    """Return a well-formed public key, another one for each port."""
    kind = b"ssh-ed25519"
    material = port.to_bytes(32, "big")
    blob = struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(material)) + material
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"
