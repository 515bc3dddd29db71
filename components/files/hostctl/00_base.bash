#!/usr/bin/env bash
# shellcheck disable=SC2317 # verbs and conditions are called by name
# Host-side script of airbyte-migration. Pulumi, the DB Migration Script and an operator call the
# same verbs. It sequences; what should happen is decided elsewhere. It prints no secret.
#
#   hostctl marker read | claim DEPLOYMENT STAGE | release DEPLOYMENT STAGE | move --from A --to B
#   hostctl put PATH MODE                     content on stdin, PATH below the state folder
#   hostctl keys ensure NAME                  prints the public half
#   hostctl authorize NAME OPTIONS            public key on stdin
#   hostctl unauthorize NAME
#   hostctl tls ensure DIR IMAGE              certificate readable by IMAGE's user postgres
#   hostctl complete CONTAINER                waits for a one-shot; starts a failed one again
#   hostctl serves CONTAINER PORT PATH SECONDS
#   hostctl stop|start airbyte|database|abctl
#   hostctl program ensure VERSION [MACHINE=SHA256...]  abctl itself; fetched if a checksum is given
#   hostctl apply INSTANCE                    installs what its epoch asks for, else its default
#   hostctl activate INSTANCE EPOCH RENDERING a rendering's folder, or `stopped`
#   hostctl look INSTANCE                     cluster, release and leftovers, as JSON
#   hostctl uninstall INSTANCE                not an active one; its secrets are kept
#   hostctl status                            JSON
#   hostctl forced                            what $SSH_ORIGINAL_COMMAND may be
set -euo pipefail
umask 077

STATE=${AIRBYTE_MIGRATION_STATE:-/var/lib/airbyte-migration}
MARKER=$STATE/marker
NODE=airbyte-abctl-control-plane
NAMESPACE=airbyte-abctl
AUTHORIZED=$HOME/.ssh/authorized_keys
RELEASES=https://github.com/airbytehq/abctl/releases/download
ABCTL_FOLDER=$HOME/.airbyte/abctl # of abctl; it can not be moved

LOCK_SECONDS=900                                          # for another hostctl to end
CLUSTER_SECONDS=${AIRBYTE_MIGRATION_CLUSTER_SECONDS:-120} # from a node's start to its API's answer
INSTALL_SECONDS=3900                                      # abctl; Helm itself waits for an hour
ENDING_SECONDS=20                                         # for an abctl that was told to end
PODS_SECONDS=120                                          # for pods to end
READY_SECONDS=120                                         # for every Deployment, after Helm
HEALTH_SECONDS=120                                        # for the API, after them
FETCH_SECONDS=600                                         # for the release of abctl
LOOK_SECONDS=60                                           # abctl local status
UNINSTALL_SECONDS=600                                     # abctl local uninstall

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: found $1"
  say "needed: $2"
  say "way out: $3"
  exit 1
}
usage() { die "\`hostctl $*\`" "a known verb" "read the list at the top of this script: \`head -n 30 $0\`"; }
locked() { # until this process ends
  mkdir -p "$STATE"
  exec 9>"$STATE/lock"
  another_hostctl_has_ended() { flock -n 9; }
  wait_for "$LOCK_SECONDS" another_hostctl_has_ended ||
    die "another hostctl at work for $LOCK_SECONDS s" "the lock $STATE/lock" "wait, or end it"
}
# Runs "$2..." until it succeeds or $1 seconds have passed, after 15 s only once a second; speaks
# every 5 s.
wait_for() {
  local deadline=$((SECONDS + $1)) spoken=$SECONDS hurried=$((SECONDS + 15))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    if ((SECONDS - spoken >= 5)); then
      spoken=$SECONDS
      say "waiting for: $*"
    fi
    if ((SECONDS < hurried)); then sleep 0.2; else sleep 1; fi
  done
}
write_file() { # PATH MODE, content on stdin; the old content stays until the new one is complete
  mkdir -p "$(dirname "$1")"
  cat >"$1.new"
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
}

