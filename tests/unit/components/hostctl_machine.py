"""A host made of folders, on which the host-side script runs for real."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import host_script, timeouts

INSTANCE = "airbyte-prod-backup-replica-2"
DEFAULT = "standby-core-worker-01"
RENDERINGS = (DEFAULT, "active-core-worker-01", "active-intermediary", "prepared")
DEPLOYMENT = "deployment.apps/airbyte-abctl-server"

CHART, APPLICATION, VERSION = "1.8.5", "1.8.5", "0.30.4"
READ_FROM_ABCTL = (
    "Installed Helm Chart",
    "Ingress created",
    "Updated existing Ingress",
    "Found helm chart '%s'",
    "Status: %s",
    "Chart Version: %s",
    "App Version: %s",
)
"""What the script looks for in the words of abctl."""

DOCKER = f"""#!/bin/bash
echo "docker $*" >>"$LOG"
[[ ! -e $HOME/no-docker ]] || exit 1
case "$*" in
  "ps -a"*) cat "$HOME/containers" ;;
  "start airbyte-abctl"*) echo true >"$HOME/node" ;;
  *State.Running*) cat "$HOME/node" 2>/dev/null ;;
  *PortBindings*) cat "$HOME/port" 2>/dev/null ;;
  *kubectl*) [[ ! -e $HOME/silent-cluster ]] || exit 1 ;;&
  *"get secret airbyte-auth-secrets -o jsonpath={{.data}}") cat "$HOME/auth" 2>/dev/null ;;
  *"get deployments -o name"*) echo {DEPLOYMENT} ;;
  *"get pods -o name"*) cat "$HOME/pods" 2>/dev/null || true ;;
  *"get deployments -o json"*) printf '"replicas": %s,' "$(cat "$HOME/replicas")" ;;
  *"scale deployment"*) echo 0 >"$HOME/replicas" ;;
esac
"""
# Coloured, as the real one is in a pipe, too.
ABCTL = f"""#!/bin/bash
[[ ! -e $HOME/hangs ]] || hangs=yes
echo "abctl $*" >>"$LOG"
echo "DO_NOT_TRACK=$DO_NOT_TRACK" >>"$LOG"
said() {{ printf '\\x1b[30;46m  %s  \\x1b[0m\\x1b[0m \\x1b[96m%s\\x1b[0m\\n' "$1" "$2"; }}
case "$*" in
  version)
    printf 'version: v%s\\n' "$(cat "$HOME/version" 2>/dev/null || echo {VERSION})"
    exit 0
    ;;
  "local uninstall")
    rm -f "$HOME/node" "$HOME/silent-cluster" "$HOME/auth" "$HOME/release"
    exit 0
    ;;
  "local status")
    [[ -e $HOME/release ]] || {{ said WARNING "Unable to fetch airbyte release"; exit 0; }}
    read -r state chart application <"$HOME/release"
    for name in airbyte-abctl ingress-nginx; do
      said INFO "Found helm chart '$name'"
      said "" "  Status: $state"
      said "" "  Chart Version: $chart"
      said "" "  App Version: $application"
      state=other chart=0 application=0
    done
    exit 0
    ;;
esac
[[ ! -e $HOME/helm-fails ]] || exit 1
echo true >"$HOME/node"
for word; do
  [[ $word == *auth.given.yaml ]] && cp "$word" "$HOME/given"
done
said SUCCESS "Installed Helm Chart airbyte/airbyte:"
echo "$(cat $HOME/outcome 2>/dev/null || echo deployed {CHART} {APPLICATION})" >"$HOME/release"
echo 1 >"$HOME/replicas"
[[ -s $HOME/auth ]] || echo '{{"dataplane-client-id":"bWFkZQ=="}}' >"$HOME/auth"
said SUCCESS "Ingress created"
[[ -z $hangs ]] || read -r _ <"$HOME/never"
exit 1
"""
CURL = """#!/bin/bash
echo "curl $*" >>"$LOG"
for ((n = 1; n < $#; n++)); do
  [[ ${!n} != -o ]] || { next=$((n + 1)); cp "$HOME/archive" "${!next}" || exit 22; }
done
[[ $* != *api/v1/health ]] || echo '{"available": true}'
"""


@dataclass(frozen=True)
class Machine:
    """Its folder holds the programs, the state, the log of all calls, and flags for the stand-ins:
    `node` (its state), `pods`, `containers` (docker ps), `hangs`, `helm-fails`, `silent-cluster`,
    `auth` (the Secret in the cluster), `given` (the last that abctl was given), `release`,
    `version`.
    """

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> list[str]:
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    def start(self, *words: str, original: str | None = None) -> subprocess.Popen[str]:
        """Begin a run of the script."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LOG": str(self.folder / "log"),
            "AIRBYTE_MIGRATION_STATE": str(self.state),
            "AIRBYTE_MIGRATION_CLUSTER_SECONDS": "1",
        }
        if original is not None:
            environment["SSH_ORIGINAL_COMMAND"] = original
        return subprocess.Popen(
            ["bash", host_script.laid(self.folder), *words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *words: str, stdin: str = "", original: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, original=original)
        out, err = process.communicate(stdin, timeout=timeouts.AGENT_STEP)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def ok(self, *words: str, stdin: str = "", original: str | None = None) -> str:
        done = self.run(*words, stdin=stdin, original=original)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lay_renderings(self, default: str = DEFAULT) -> None:
        for rendering in RENDERINGS:
            folder = self.state / INSTANCE / rendering
            folder.mkdir(parents=True)
            (folder / "values.yaml").write_text(f"rendering: {rendering}\n")
            (folder / "secrets.yaml").write_text("s: 1\n")
            (folder / "install.args").write_text(
                "--chart-version\n1.8.5\n--port\n8000\n--no-browser\n"
            )
        (self.state / INSTANCE / "auth.yaml").write_text("auth: 1\n")
        (self.state / INSTANCE / "airbyte").write_text(f"{APPLICATION}\n")
        (self.state / INSTANCE / "default").write_text(f"{default}\n")
        (self.state / "services").mkdir()
        (self.state / "services" / "abctl").write_text(f"abctl {INSTANCE}\n")

    def installs(self) -> list[str]:
        return [line for line in self.log if line.startswith("abctl local install")]


def make(folder: Path) -> Machine:
    """Lay the programs; there is no cluster yet."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in (("docker", DOCKER), ("abctl", ABCTL), ("curl", CURL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    os.mkfifo(folder / "never")
    (folder / "containers").touch()
    return Machine(folder)
