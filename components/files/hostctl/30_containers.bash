# --- containers ----------------------------------------------------------------------------------
container_state() { docker inspect --type container --format "{{.State.$2}}" "$1"; }
complete() {
  local name=$1 code
  if [[ $(container_state "$name" Running) == false && $(container_state "$name" ExitCode) != 0 ]]; then
    docker start "$name" >/dev/null
  fi
  one_shot_has_ended() { [[ $(container_state "$name" Running) == false ]]; }
  wait_for 900 one_shot_has_ended || die "\`$name\` still at work after 15 minutes" "that it ends" "docker logs $name"
  code=$(container_state "$name" ExitCode)
  [[ $code == 0 ]] || compose_is_fenced || {
    docker logs --tail 20 "$name" >&2 || true
    die "\`$name\` ended with exit code $code" "exit code 0" "mend what its log says, then \`pulumi up\` again: it is started again"
  }
  echo "$name ended well"
}
# By the cut-over or a failover, for good: what comes back with `pulumi up` has nothing to do.
compose_is_fenced() {
  local closed="SELECT NOT datallowconn FROM pg_database WHERE datname = 'airbyte'"
  [[ $(docker exec airbyte-db psql -U docker -d postgres -Atc "$closed" 2>/dev/null) == t ]] || return 1
  say "airbyte-db is fenced: prod is elsewhere, compose stays stopped"
}
healthy() { # URL SECONDS
  airbyte_is_available() { curl -fsS -m 5 "$1" | grep -E '"available": ?true'; }
  wait_for "$2" airbyte_is_available "$1" ||
    die "no healthy answer from $1 for $2 s" "HTTP 200, available" "look at the containers: docker ps -a"
}
serves() { # past the proxy's basic auth, so that no password is needed
  local container=$1 port=$2 path=$3
  if compose_is_fenced; then
    service stop airbyte
    return
  fi
  airbyte_answers() {
    local address
    address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$container")
    curl -fsS -m 5 -o /dev/null "http://${address%% *}:$port$path"
  }
  wait_for "$4" airbyte_answers || die "no healthy answer from $container:$port$path for $4 s" "HTTP 200" "docker logs $container"
  echo "$container serves $path"
}

