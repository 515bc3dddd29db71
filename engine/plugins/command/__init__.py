"""TEST EQUIPMENT: imitation of pulumi-command, for local and remote commands and copies."""
