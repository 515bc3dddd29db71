# --- abctl: what is there --------------------------------------------------------------------------
kubectl() { docker exec "$NODE" kubectl -n "$NAMESPACE" "$@" </dev/null; }
node_state() { container_state "$NODE" Running 2>/dev/null || true; } # true, false or nothing
epoch_of() { cut -d' ' -f1 "$STATE/$1/epoch" 2>/dev/null || echo 0; }
rendering() { # INSTANCE: what the epoch asks for, else what Pulumi gave as default
  local words
  words=$(cat "$STATE/$1/epoch" 2>/dev/null || cat "$STATE/$1/default" 2>/dev/null || true)
  echo "${words##* }"
}
cluster_answers() { wait_for "$CLUSTER_SECONDS" kubectl get deployments -o name; }
release() { # status, chart and application of Airbyte's Helm release; nothing without one
  abctl_says "$LOOK_SECONDS" local status | awk '
    /Found helm chart / { ours = /airbyte-abctl/ }
    ours && /Status:/ { status = $NF }
    ours && /Chart Version:/ { chart = $NF }
    ours && /App Version:/ { print status, chart, $NF; ours = 0 }'
}
installs() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -q 'abctl local install'; } # PID
leftovers() { # INSTANCE: a line for each thing that an install which did not end well has left
  local dir=$STATE/$1 node pid release
  node=$(node_state)
  pid=$(cat "$dir/install.pid" 2>/dev/null || true)
  [[ -z $pid ]] || ! installs "$pid" || echo "an abctl at work (process $pid) whose hostctl has ended"
  [[ $node != false ]] || echo "the node $NODE, stopped"
  [[ -n $node || ! -e $dir/auth.applied ]] || echo "no cluster, though Airbyte was installed: its Secrets died with it"
  [[ -n $node || ! -e $ABCTL_FOLDER/abctl.kubeconfig ]] || echo "the kubeconfig of a cluster that is gone"
  [[ ! -d $ABCTL_FOLDER/data/airbyte-minio-pv ]] || echo "a MinIO volume of an older abctl: $ABCTL_FOLDER/data/airbyte-minio-pv"
  [[ ! -d $ABCTL_FOLDER/data/airbyte-volume-db/pgdata ]] || echo "the data of a bundled database: $ABCTL_FOLDER/data/airbyte-volume-db"
  [[ $node == true && ! -e $dir/applied ]] || return 0
  if ! kubectl get deployments -o name >/dev/null 2>&1; then
    echo "a cluster that does not answer"
    return 0
  fi
  release=$(release)
  [[ -n $release ]] || echo "a cluster without a Helm release"
  [[ -z $release || $release == "deployed "* ]] || echo "a Helm release that is ${release%% *}"
}
look() {
  local instance=$1 words=() node
  [[ -s $STATE/$instance/default ]] || die "no instance $instance on $(hostname)" "one of: $(service_line abctl)" "pulumi up"
  case $(node_state) in true) node=running ;; false) node=stopped ;; *) node=none ;; esac
  [[ $node != running ]] || read -r -a words < <(release) || true
  printf '{"instance":"%s","node":"%s","release":"%s","chart":"%s","airbyte":"%s","leftovers":[%s]}\n' \
    "$instance" "$node" \
    "${words[0]:-none}" "${words[1]:-}" "${words[2]:-}" \
    "$(leftovers "$instance" | sed 's/.*/"&"/' | paste -sd,)"
}

