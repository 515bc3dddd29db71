"""After it: the standby made again."""
