"""What is known about Airbyte itself. Pure: imports nothing of ours, does no I/O."""
