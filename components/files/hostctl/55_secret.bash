# --- abctl: its Secret ----------------------------------------------------------------------------
# The bootloader adds keys to it (the data plane's credentials, which must fit rows of the database);
# it dies with the cluster. The copy goes back in with the next install, so that all stays valid.
auth_in_cluster() { kubectl get secret airbyte-auth-secrets -o 'jsonpath={.data}' 2>/dev/null; }
keep_auth() { # INSTANCE
  local data
  data=$(auth_in_cluster) || return 1
  [[ $data == "{"*"}" ]] || return 1
  echo "data: $data" | write_file "$STATE/$1/auth.kept" 0600
}
auth_is_kept() { keep_auth "$1" && [[ "data: $(auth_in_cluster)" == "$(cat "$STATE/$1/auth.kept")" ]]; }
auth_is_given() { # INSTANCE: the cluster has what the settings say, and need not get it
  auth_in_cluster >/dev/null && cmp -s "$STATE/$1/auth.yaml" "$STATE/$1/auth.applied"
}
compose_auth() { # INSTANCE: what the settings say wins over what was kept
  local dir=$STATE/$1
  keep_auth "$1" || [[ ! -e $dir/auth.kept ]] || say "the cluster has no airbyte-auth-secrets: restoring what was kept"
  { cat "$dir/auth.yaml"; cat "$dir/auth.kept" 2>/dev/null || true; } | write_file "$dir/auth.given.yaml" 0600
}

