"""A failover on a throw-away clone."""
