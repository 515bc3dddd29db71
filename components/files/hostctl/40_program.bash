# --- abctl: the program ----------------------------------------------------------------------------
# Every call of it goes through here. What it says is read without its colours, which it writes into
# pipes too; what it returns proves nothing: it ends with 1 after everything was applied, and with 0
# when nothing is there.
abctl_says() { # SECONDS ARGUMENT...
  DO_NOT_TRACK=1 timeout "$1" "$(abctl_path)" "${@:2}" </dev/null 2>&1 | without_colours || true
}
without_colours() { sed -u 's/\x1b\[[0-9;]*m//g'; }
abctl_path() { # the one that `program ensure` chose
  local words=()
  read -r -a words 2>/dev/null <"$STATE/program" || true
  echo "${words[1]:-abctl}"
}
version_of() { # PATH, without the v
  DO_NOT_TRACK=1 "$1" version </dev/null 2>/dev/null | without_colours | sed -n 's/^version: v//p' || true
}
check_program() { # the owner may have put another one in its place since
  local words=() found
  read -r -a words 2>/dev/null <"$STATE/program" || return 0
  found=$(version_of "${words[1]}")
  [[ $found == "${words[0]}" ]] || no_program "${found:-none}" "${words[0]}"
}
no_program() { # FOUND VERSION
  die "abctl ${1:-none} on $(hostname)" "abctl $2" \
    "put it into /usr/local/bin: the release v$2 of airbytehq/abctl, or what \`python -m tools.real_abctl\` builds; or set abctlSha256 in the stack file"
}
program_ensure() { # VERSION MACHINE=SHA256...
  local version=$1 path=$STATE/bin/abctl pair digest=
  shift
  [[ $version =~ ^[0-9]+(\.[0-9]+)+$ ]] || usage program ensure "$version"
  [[ $(version_of "$path") == "$version" ]] || path=$(command -v abctl || true)
  if [[ -z $path || $(version_of "$path") != "$version" ]]; then
    for pair in "$@"; do [[ ${pair%%=*} != "$(uname -m)" ]] || digest=${pair#*=}; done
    [[ -n $digest ]] || no_program "$([[ -z $path ]] || version_of "$path")" "$version"
    path=$STATE/bin/abctl
    fetch_program "$version" "$digest" "$path"
  fi
  echo "$version $path" | write_file "$STATE/program" 0644
  printf '{"version":"%s","path":"%s","sha256":"%s"}\n' "$version" "$path" "$(digest_of "$path")"
}
digest_of() { sha256sum <"$1" | cut -d' ' -f1; }
fetch_program() ( # VERSION SHA256 PATH; a subshell, for its trap
  name=abctl-v$1-linux-$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  curl -fsSL -m "$FETCH_SECONDS" -o "$scratch/archive" "$RELEASES/v$1/$name.tar.gz" || {
    say "$RELEASES can not be reached"
    no_program none "$1"
  }
  found=$(digest_of "$scratch/archive")
  [[ $found == "$2" ]] || die "$name.tar.gz with SHA-256 $found" "$2" "do not use it; compare the release's own list"
  tar -xzf "$scratch/archive" -C "$scratch"
  mkdir -p "$(dirname "$3")"
  install -m 0755 "$scratch/$name/abctl" "$3"
  [[ $(version_of "$3") == "$1" ]] || no_program "$(version_of "$3")" "$1"
)

