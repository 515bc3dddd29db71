# --- Airbyte and its database as services --------------------------------------------------------
service_line() { [[ ! -e $STATE/services/$1 ]] || cat "$STATE/services/$1"; }
service() { # stop|start airbyte|database|abctl
  local verb=$1 what=$2 words=()
  locked
  read -r -a words < <(service_line "$what") || true
  case "$verb/${words[0]:-none}" in
  # `start` installs again: a refreshed working database has prod's schema until the bootloader ran.
  stop/abctl)
    end_leftover "${words[1]}"
    stop_abctl
    ;;
  start/abctl) apply "${words[1]}" >&2 ;;
  stop/containers) stop_containers "$what" "${words[@]:1}" ;;
  start/containers) start_containers "${words[@]:1}" ;;
  stop/none | start/none) say "no $what on this host" ;;
  *) usage "$verb" "$what" ;;
  esac
  echo "$what: $verb done"
}
# All at once. PostgreSQL needs its time to write everything out; of Airbyte's services nobody waits
# for one that does not end: its jobs were drained, or this is a fence.
stop_containers() { # SERVICE CONTAINER...
  local grace=60
  [[ $1 != airbyte ]] || grace=5
  docker stop -t "$grace" "${@:2}" >/dev/null
  [[ $1 != airbyte ]] || connectors | xargs -r docker kill >/dev/null
}
# What compose's worker has started has no label and no fixed name, but Airbyte's workspace as /data
# (DockerProcessFactory); it outlives the worker and writes on to its destination.
connectors() {
  docker ps -q --filter volume=airbyte_workspace | xargs -r docker inspect \
    --format '{{range .Mounts}}{{if eq .Destination "/data"}}{{println $.Id}}{{end}}{{end}}'
}
start_containers() { # in reverse order: what the others need was stopped last
  local position
  for ((position = $#; position > 0; position--)); do docker start "${!position}" >/dev/null; done
  if [[ $1 == airbyte-db ]]; then
    airbyte_db_accepts_connections() { docker exec airbyte-db pg_isready -q -h 127.0.0.1 -U docker; }
    wait_for 120 airbyte_db_accepts_connections || die "airbyte-db does not accept connections" "that it does" "docker logs airbyte-db"
  fi
}

