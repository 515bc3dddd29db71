"""Reads the committed stack files, as far as a promotion needs them, and keeps them as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.stagectl.errors import RefusedError, UsageError
from stages.stagectl.state import Json

DEFAULT_SSH_PORT = 22


class _Lenient(BaseModel):
    # stages.settings judges these settings; here unknown keys are somebody else's.
    model_config = ConfigDict(extra="ignore", populate_by_name=True, frozen=True)


class Operator(_Lenient):
    """How the operator reaches the hosts."""

    user: str = "root"
    identity_file: str | None = Field(default=None, alias="identityFile")
    known_hosts_file: str | None = Field(default=None, alias="knownHostsFile")


class Host(_Lenient):
    """Where a host's SSH server listens."""

    address: str
    ssh_port: int = Field(default=DEFAULT_SSH_PORT, alias="sshPort")


class StackSettings(_Lenient):
    """The settings of one stack that the markers need."""

    deployment: str = ""
    operator: Operator = Operator()
    hosts: dict[str, Host] = Field(default_factory=dict)


@dataclass(frozen=True)
class Project:
    """The folder with Pulumi.yaml."""

    folder: Path
    name: str

    @classmethod
    def find(cls, start: Path) -> "Project":
        """Find Pulumi.yaml here or above."""
        for folder in (start, *start.parents):
            path = folder / "Pulumi.yaml"
            if path.is_file():
                return cls(folder, str(_load(path).get("name") or ""))
        raise UsageError(
            found=f"no Pulumi.yaml in {start} or above",
            needed="the project's folder",
            way_out="Change into it, or name it: --project-dir FOLDER.",
        )

    def stack_file(self, stack: str) -> Path:
        """Path of the committed file of a stack."""
        return self.folder / f"Pulumi.{stack}.yaml"

    def check_stack_file(self, stack: str) -> None:
        """Refuse a stack whose file is missing, or says nothing on how its secrets are kept."""
        path = self.stack_file(stack)
        if not path.is_file():
            raise RefusedError(
                found=f"no {path.name} in {self.folder}",
                needed="the committed settings of that stage",
                way_out=f"Restore it: `git checkout {path.name}`.",
            )
        document = _load(path)
        if not (document.get("encryptionsalt") or document.get("secretsprovider")):
            raise RefusedError(
                found=f"{path.name} has neither encryptionsalt nor secretsprovider",
                needed="the secrets provider that its secrets were made with",
                way_out=f"Set one secret: `pulumi config set --secret --stack {stack} …`; "
                "commit what it writes.",
            )

    def settings(self, stack: str) -> StackSettings:
        """Read the settings that markers need; an absent file has none."""
        path = self.stack_file(stack)
        if not path.is_file():
            return StackSettings()
        config: Json = _load(path).get("config") or {}
        prefix = f"{self.name}:"
        own = {k[len(prefix) :]: v for k, v in config.items() if k.startswith(prefix)}
        try:
            return StackSettings.model_validate(own)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise RefusedError(
                found=f"{path.name}: {wrong}",
                needed="hosts and operator as in the config schema of Pulumi.yaml",
                way_out=f"Mend {path.name}; `pulumi preview --stack {stack}` names every key.",
            ) from error

    @contextmanager
    def files_untouched(self, *stacks: str) -> Iterator[None]:
        """Put the committed stack files back if the engine rewrote one."""
        before = {p: p.read_bytes() for s in stacks if (p := self.stack_file(s)).is_file()}
        try:
            yield
        finally:
            for path, content in before.items():
                if not path.is_file() or path.read_bytes() != content:
                    path.write_bytes(content)


def _load(path: Path) -> Json:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document if isinstance(document, dict) else {}
