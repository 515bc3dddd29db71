# --- abctl: what is done -----------------------------------------------------------------------------
# Nothing runs and nobody is connected to the database when this has succeeded; the pods of running
# syncs, which no Deployment owns, are ended too.
stop_abctl() {
  [[ $(node_state) == true ]] || return 0
  cluster_answers || die "no answer from the cluster in $NODE" "its Deployments" "docker logs $NODE"
  [[ -z $(kubectl get deployments -o name) ]] || kubectl scale deployment --all --replicas=0 >&2
  kubectl delete pods --all --timeout="${PODS_SECONDS}s" >&2 ||
    die "pods in $NODE that do not end" "none" "docker exec $NODE kubectl -n $NAMESPACE get pods"
}
end_leftover() { # INSTANCE: an abctl whose hostctl was killed, or which is no longer wanted
  local pid
  pid=$(cat "$STATE/$1/install.pid" 2>/dev/null || echo none)
  abctl_has_ended() { ! installs "$pid" 2>/dev/null; }
  abctl_has_ended || {
    kill "$pid" || true
    wait_for "$ENDING_SECONDS" abctl_has_ended || kill -KILL "$pid" || true
  }
  rm -f "$STATE/$1/install.pid"
}
everything_is_ready() { # by what runs: abctl's exit codes prove nothing
  local name names
  names=$(kubectl get deployments -o name)
  [[ -n $names ]] || return 1
  for name in $names; do
    kubectl rollout status "$name" --timeout=10s || return 1
  done
}
wake_cluster() { # FOLDER; after a reboot the node may be stopped, or not yet answer
  [[ $(node_state) != false ]] || docker start "$NODE" >/dev/null
  [[ $(node_state) == true ]] || return 0
  cluster_answers || {
    [[ ! -e $1/auth.applied ]] || die "no answer from the cluster in $NODE" "its Deployments" "docker logs $NODE"
    say "removing a cluster that was never finished"
    abctl_says "$UNINSTALL_SECONDS" local uninstall >"$1/install.log"
  }
}
apply() {
  local instance=$1 chosen
  chosen=$(rendering "$instance")
  leftovers "$instance" | sed 's/^/found a leftover: /' >&2
  end_leftover "$instance"
  if [[ $chosen == stopped ]]; then stop_abctl; else install_rendering "$instance" "$chosen"; fi
  printf '{"instance":"%s","rendering":"%s"}\n' "$instance" "$chosen"
}
node_port() { docker inspect --type container --format '{{with index .HostConfig.PortBindings "80/tcp"}}{{(index . 0).HostPort}}{{end}}' "$NODE" 2>/dev/null || true; }
refuse_what_can_not_work() { # FOLDER RENDERING
  local wanted installed port
  check_program
  port=$(node_port)
  wanted=$(argument --port "$1/$2/install.args")
  # abctl would go on with the old one, and only warn.
  [[ -z $port || $port == "$wanted" ]] ||
    die "a cluster on port $port" "port $wanted" "set it back; or hostctl uninstall ${1##*/}, which keeps its secrets, then pulumi up"
  # abctl would make no volume for local storage, and no pod would start.
  [[ ! -d $ABCTL_FOLDER/data/airbyte-minio-pv ]] ||
    die "the MinIO volume of an older abctl" "none" "move it away: mv $ABCTL_FOLDER/data/airbyte-minio-pv ~"
  wanted=$(cat "$1/airbyte" 2>/dev/null || true)
  installed=$(cat "$1/airbyte.applied" 2>/dev/null || true)
  # No code of Airbyte refuses a newer database: it would just break.
  [[ -z $wanted || -z $installed || $(printf '%s\n' "$installed" "$wanted" | sort -V | tail -n 1) == "$wanted" ]] ||
    die "Airbyte $wanted after Airbyte $installed" "$installed or newer" "set chartVersion to a chart with it"
}
install_rendering() { # INSTANCE RENDERING
  local instance=$1 chosen=$2 dir=$STATE/$1 wanted arguments=()
  [[ -s $dir/$chosen/install.args ]] || die "no rendering $dir/$chosen" "values, secrets and install.args" "pulumi up"
  refuse_what_can_not_work "$dir" "$chosen"
  wake_cluster "$dir"
  wanted="$chosen $(cat "$dir/auth.yaml" "$dir/$chosen"/{values,secrets}.yaml | sha256sum)"
  # The charts restart no pod for a changed ConfigMap or Secret: it would stay on the old database.
  if [[ $wanted != "$(cat "$dir/applied" 2>/dev/null || true)" ]]; then
    rm -f "$dir/applied"
    stop_abctl
  fi
  mapfile -t arguments <"$dir/$chosen/install.args"
  arguments+=(--values "$dir/$chosen/values.yaml" --secret "$dir/$chosen/secrets.yaml")
  # abctl replaces a Secret that it is given, and with it the keys that the bootloader added.
  if ! auth_is_given "$instance"; then
    compose_auth "$instance"
    arguments+=(--secret "$dir/auth.given.yaml")
  fi
  say "installing $instance ($chosen) with abctl; its output is in $dir/install.log"
  run_abctl "$instance" "$chosen" "${arguments[@]}"
  cp "$dir/auth.yaml" "$dir/auth.applied"
  rm -f "$dir/auth.given.yaml"
  prove_installed "$instance" "$chosen"
  keep_auth "$instance" || die "no Secret airbyte-auth-secrets in $NODE" "the one that was given" "the same command again"
  cp "$dir/airbyte" "$dir/airbyte.applied" 2>/dev/null || true
  echo "$wanted" | write_file "$dir/applied" 0644
}
argument() { grep -A1 -x -- "$1" "$2" | tail -n 1; } # FLAG FILE
prove_installed() { # INSTANCE RENDERING: cluster, release, Deployments, API
  local args=$STATE/$1/$2/install.args found chart
  chart=$(argument --chart-version "$args")
  found=$(release)
  [[ $found == "deployed $chart "* ]] ||
    die "Helm release \`${found:-none}\` in $NODE" "deployed, chart $chart" "cat $STATE/$1/install.log; then the same command again"
  [[ $2 != prepared ]] || return 0
  wait_for "$READY_SECONDS" everything_is_ready || die "a Deployment that does not become ready" "all of them ready" "docker exec $NODE kubectl -n $NAMESPACE get pods"
  healthy "http://127.0.0.1:$(argument --port "$args")/api/v1/health" "$HEALTH_SECONDS" >&2
}
run_abctl() { # INSTANCE RENDERING ARGUMENT...; done when Helm has applied it, whatever abctl says
  local instance=$1 chosen=$2 log=$STATE/$1/install.log pid program
  shift 2
  program=$(abctl_path)
  # Without the lock: an abctl that outlives a killed hostctl keeps nobody out.
  DO_NOT_TRACK=1 "$program" local install "$@" </dev/null >"$log" 2>&1 9>&- &
  pid=$!
  echo "$pid" | write_file "$STATE/$instance/install.pid" 0644
  superseded() { [[ $(rendering "$instance") != "$chosen" ]]; }
  # Its last step waits a minute for a page that a prepared Airbyte does not serve.
  only_waits() { [[ $chosen == prepared ]] && grep -qE 'Ingress created|Updated existing Ingress' "$log"; }
  abctl_is_done() { ! kill -0 "$pid" || superseded || only_waits; }
  wait_for "$INSTALL_SECONDS" abctl_is_done || say "abctl still at work after $INSTALL_SECONDS s"
  end_leftover "$instance"
  wait "$pid" || say "abctl ended with exit code $?; judging by what runs"
  ! superseded || die "$instance told to be $(rendering "$instance") meanwhile" "$chosen" "whoever told it applies that; look at: hostctl status"
  # An older release that still stands would hide an install that failed before Helm.
  if [[ $(node_state) != true ]] || ! grep -q 'Installed Helm Chart airbyte/airbyte' "$log"; then
    without_colours <"$log" | tail -n 20 >&2
    die "no Airbyte installed by abctl in $NODE" "its Helm chart applied" "cat $log; then the same command again"
  fi
}
take_epoch() { # INSTANCE EPOCH RENDERING; with a lock of its own, so that it ends an older install
  local dir=$STATE/$1 epoch=$2
  (
    flock -w 30 8 || die "another hostctl writing $dir/epoch for 30 s" "its lock" "hostctl status"
    ((epoch >= $(epoch_of "$1"))) || die "epoch $epoch" "at least $(epoch_of "$1")" "ask the database servers for the epoch"
    echo "$epoch $3" | write_file "$dir/epoch" 0644
  ) 8>"$dir/epoch.lock"
}
activate() {
  local dir=$STATE/${1:-} told
  [[ $# == 3 && $2 =~ ^(0|[1-9][0-9]{0,8})$ ]] || usage activate "$@"
  [[ -s $dir/default ]] || die "no instance $1 on $(hostname)" "one of: $(service_line abctl)" "pulumi up"
  [[ $3 == stopped || -s $dir/$3/install.args ]] || die "no rendering $dir/$3" "stopped, or a folder beside it" "pulumi up"
  take_epoch "$@"
  locked
  told=$(cat "$dir/epoch")
  [[ $told == "$2 $3" ]] || die "$1 told epoch and rendering $told meanwhile" "$2 $3" "hostctl status"
  apply "$1"
}
# Never with --persisted, and only when nothing dies with the cluster that is nowhere else: the
# database of an instance that is not active is a copy, its Secret is kept here and compared.
uninstall() {
  local dir=$STATE/$1 log=$STATE/$1/install.log
  [[ $(rendering "$1") != active-* ]] || die "$1 active: it is prod" "another one active; removing it would stop prod" \
    "keep it; or give prod up, its database stays: hostctl activate $1 $(epoch_of "$1") stopped, then the same again"
  end_leftover "$1"
  if [[ -n $(node_state) && -e $dir/auth.applied ]]; then
    wake_cluster "$dir"
    auth_is_kept "$1" ||
      die "no fresh copy of airbyte-auth-secrets of $1" "one, compared with the cluster's" "hostctl apply $1; or remove it yourself: abctl local uninstall"
  fi
  abctl_says "$UNINSTALL_SECONDS" local uninstall >"$log"
  [[ -z $(node_state) ]] || die "abctl that can not uninstall $1" "no container $NODE" "cat $log"
  rm -f "$dir"/{auth.applied,applied,airbyte.applied,epoch} "$STATE/services/abctl"
}

