"""What a shell needs to work on the lab: the engine's environment, the backend, the passphrase."""

import os
import re
import shlex
import sys

from lab.errors import LabError
from lab.process import output
from lab.spec import PASSPHRASE, REPOSITORY, LabSpec


def variables(spec: LabSpec) -> dict[str, str]:
    """Environment variables, ready for `export`."""
    spec.pulumi_state.mkdir(parents=True, exist_ok=True)
    found = _engine()
    scripts = str(REPOSITORY / ".venv" / "bin")
    path = [part for part in found.get("PATH", os.environ["PATH"]).split(os.pathsep) if part]
    return {
        **found,
        "PATH": os.pathsep.join([scripts, *(part for part in path if part != scripts)]),
        "PULUMI_BACKEND_URL": f"file://{spec.pulumi_state}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def _engine() -> dict[str, str]:
    """The export lines of `python -m engine env`."""
    result = output([sys.executable, "-m", "engine", "env"])
    if result.returncode:
        raise LabError(
            found=f"`python -m engine env` failed: {result.stderr.strip()[-500:]}",
            needed="the Pulumi engine",
            way_out="`make setup`",
        )
    lines = re.findall(r"^export (\w+)=(.*)$", result.stdout, re.MULTILINE)
    values = {key: "".join(shlex.split(value)) for key, value in lines}
    return {key: value.replace("$PATH", os.environ["PATH"]) for key, value in values.items()}
