# --- guard ---------------------------------------------------------------------------------------
marker_json() { printf '{"deployment":"%s","stage":"%s"}\n' "$1" "$2"; }
marker_field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$MARKER" 2>/dev/null || true; }
marker() {
  local verb=${1:-} deployment=${2:-} stage=${3:-} holder_deployment holder_stage
  holder_deployment=$(marker_field deployment)
  holder_stage=$(marker_field stage)
  case $verb in
  read) [[ ! -e $MARKER ]] || cat "$MARKER" ;;
  claim)
    if [[ -n $holder_deployment && $holder_deployment != "$deployment" ]]; then
      die "host $(hostname) held by deployment \`$holder_deployment\` (stage $holder_stage)" \
        "a host that deployment \`$deployment\` holds, or nobody" \
        "use another host, or on this one: hostctl marker release $holder_deployment $holder_stage"
    elif [[ -n $holder_stage && $holder_stage != "$stage" ]]; then
      die "host $(hostname) held by stack $holder_stage of deployment \`$deployment\`" \
        "that stack $stage holds it" "stagectl promote $holder_stage $stage"
    fi
    marker_json "$deployment" "$stage" | write_file "$MARKER" 0644
    cat "$MARKER"
    ;;
  move)
    [[ ${2:-} == --from && ${4:-} == --to && $# == 5 ]] || usage marker "$@"
    [[ -n $holder_stage ]] || die "no marker on $(hostname)" "the marker of stack $3" "pulumi up --stack $3"
    [[ $holder_stage == "$3" || $holder_stage == "$5" ]] ||
      die "marker of stack $holder_stage on $(hostname)" "the marker of $3" "stagectl status"
    marker_json "$holder_deployment" "$5" | write_file "$MARKER" 0644
    cat "$MARKER"
    ;;
  release)
    if [[ $holder_deployment/$holder_stage == "$deployment/$stage" ]]; then
      rm -f "$MARKER"
    else
      say "marker is \`$holder_deployment/$holder_stage\`, not \`$deployment/$stage\`: left alone"
    fi
    ;;
  *) usage marker "$verb" ;;
  esac
}

