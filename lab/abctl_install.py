"""Put the strict abctl on a host, as an owner would put Airbyte's there."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from lab import docker
from lab.images import IGNORED, file_bytes
from lab.spec import LabSpec, Machine

SOURCE = Path(__file__).parent / "abctl"
HOME = "/usr/local/lib/airbyte-lab"
NODE_IMAGE = "/etc/abctl-lab/node-image"
INSTALL = f"""set -e
mkdir -p {HOME} /etc/abctl-lab
rm -rf {HOME}/abctl && mv {HOME}.new {HOME}/abctl && chown -R root:root {HOME}/abctl
ln -sf {HOME}/abctl/bin/abctl /usr/local/bin/abctl
cat > {NODE_IMAGE}
"""


def install(spec: LabSpec, host: Machine, node_image: str) -> None:
    """Install it when the host has another version, or another node image, or none."""
    name = spec.container(host)
    digest = hashlib.sha256(b"".join(file_bytes(SOURCE))).hexdigest()
    wanted = f"{node_image}\n"
    have = docker.inside(name, ["cat", NODE_IMAGE, f"{HOME}/abctl/.digest"])
    if have.returncode == 0 and have.stdout == f"{wanted}{digest}\n":
        return
    with tempfile.TemporaryDirectory() as scratch:
        staged = Path(scratch) / "abctl"
        shutil.copytree(SOURCE, staged, ignore=IGNORED)
        (staged / ".digest").write_text(f"{digest}\n")
        docker.run("exec", name, "rm", "-rf", f"{HOME}.new")
        docker.run("cp", str(staged), f"{name}:{HOME}.new")
        docker.run("exec", "--interactive", name, "sh", "-c", INSTALL, stdin=wanted)
