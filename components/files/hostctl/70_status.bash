# --- what an agent sees --------------------------------------------------------------------------
compose_state() { # TABLE (name, tab, status of every container): running, stopped or none
  local words=() name state=none
  read -r -a words < <(service_line airbyte) || true
  for name in "${words[@]:1}"; do
    case $(awk -F '\t' -v name="$name" '$1 == name { print $2 }' <<<"$1") in
    "") ;;
    Exited* | Created* | Dead*) [[ $state == running ]] || state=stopped ;;
    *) state=running ;;
    esac
  done
  echo "$state"
}
is_scaled_up() { # also when it can not be told
  local deployments
  [[ $(node_state) == true ]] || return 1
  deployments=$(kubectl get deployments -o json) || return 0
  grep -qE '"replicas": *[1-9]' <<<"$deployments"
}
is_syncing() { # by its worker, cron or launcher; also when it can not be told
  local pods
  pods=$(kubectl get pods -o name) || return 0
  grep -qE -- '-(worker|cron|workload-launcher)-' <<<"$pods"
}
instance_json() {
  local words=() running=false syncing=false
  read -r -a words < <(service_line abctl) || true
  [[ ${words[0]:-} == abctl ]] || return 0
  ! is_scaled_up || running=true
  [[ $running == false ]] || ! is_syncing || syncing=true
  printf '{"name":"%s","epoch":%s,"rendering":"%s","running":%s,"syncing":%s}' \
    "${words[1]}" "$(epoch_of "${words[1]}")" "$(rendering "${words[1]}")" "$running" "$syncing"
}
authorized_names() { # what may enter, as the words of a JSON list
  sed -n 's/.* airbyte-migration:\([A-Za-z0-9_-]*\)$/"\1"/p' "$AUTHORIZED" 2>/dev/null | paste -sd, || true
}
free_bytes() { # on the disk where Docker keeps its volumes
  local root
  root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || true
  df --output=avail -B1 "${root:-/}" 2>/dev/null | tail -n 1 | grep -oE '[0-9]+' || echo null
}
status() {
  local table held=null
  table=$(docker ps -a --format '{{.Names}}\t{{.Status}}') || die "no answer from Docker on $(hostname)" "a running daemon" "systemctl status docker"
  [[ -z $(marker_field stage) ]] || held=$(marker_json "$(marker_field deployment)" "$(marker_field stage)")
  printf '{"host":"%s","marker":%s,"containers":[%s],"instances":[%s],"compose":"%s","keys":[%s],"free_bytes":%s}\n' \
    "$(hostname)" "$held" \
    "$(awk -F '\t' 'NF { printf "%s{\"name\":\"%s\",\"status\":\"%s\"}", (NR > 1 ? "," : ""), $1, $2 }' <<<"$table")" \
    "$(instance_json)" "$(compose_state "$table")" "$(authorized_names)" "$(free_bytes)"
}
forced() {
  local words=() line
  read -r -a words <<<"${SSH_ORIGINAL_COMMAND:-}"
  line=${words[*]}
  if [[ $line =~ ^(stop|start)\ (airbyte|database|abctl)$ ]]; then
    service "${words[@]}"
  elif [[ $line =~ ^activate\ [a-z0-9-]+\ [0-9]+\ [a-z0-9-]+$ ]]; then
    activate "${words[@]:1}"
  elif [[ $line == status ]]; then
    status
  else
    usage forced "$line"
  fi
}

main() {
  local verb=${1:-}
  [[ $# == 0 ]] || shift
  case $verb in
  marker | put | authorize | unauthorize | complete | serves | activate | look | status | forced) "$verb" "$@" ;;
  keys) [[ ${1:-} == ensure ]] && keys_ensure "$2" ;;
  tls) [[ ${1:-} == ensure ]] && tls_ensure "$2" "$3" ;;
  program) [[ ${1:-} == ensure && $# -ge 2 ]] || usage program "$@"; program_ensure "${@:2}" ;;
  stop | start) service "$verb" "$@" ;;
  apply | uninstall)
    locked
    "$verb" "$@"
    ;;
  *) usage "$verb" ;;
  esac
}
main "$@"
