# --- files, keys, certificates -------------------------------------------------------------------
put() {
  [[ $1 != /* && $1 != *..* ]] || die "path $1" "a path below $STATE" "give it relative"
  write_file "$STATE/$1" "$2"
}
keys_ensure() {
  local key=$STATE/keys/$1
  mkdir -p "$STATE/keys"
  [[ -s $key && -s $key.pub ]] || {
    rm -f "$key" "$key.pub"
    ssh-keygen -q -t ed25519 -N '' -C "airbyte-migration:$1" -f "$key"
  }
  cat "$key.pub"
}
without_key() { # NAME: authorized_keys without the line of NAME
  [[ ! -e $AUTHORIZED ]] || grep -v " airbyte-migration:$1\$" "$AUTHORIZED" || true
}
authorize() {
  local name=$1 options=$2 kind material _
  locked
  read -r kind material _ || true
  [[ $kind == ssh-* && -n $material ]] || die "no public key on stdin" "an SSH public key" "hostctl keys ensure $name"
  { without_key "$name"; printf '%s %s %s airbyte-migration:%s\n' "$options" "$kind" "$material" "$name"; } |
    write_file "$AUTHORIZED" 0600
}
unauthorize() {
  locked
  [[ ! -e $AUTHORIZED ]] || without_key "$1" | write_file "$AUTHORIZED" 0600
}
tls_ensure() {
  local dir=$1 owner
  mkdir -p "$dir"
  if [[ ! -s $dir/server.crt || ! -s $dir/server.key ]]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$(hostname)" \
      -keyout "$dir/server.key" -out "$dir/server.crt" 2>/dev/null
  fi
  owner=$(docker run --rm --entrypoint sh "$2" -c 'echo "$(id -u postgres):$(id -g postgres)"')
  chown -R "$owner" "$dir"
  chmod 0755 "$dir"
  chmod 0600 "$dir/server.key"
  chmod 0644 "$dir/server.crt"
  openssl x509 -in "$dir/server.crt" -noout -fingerprint -sha256
}

