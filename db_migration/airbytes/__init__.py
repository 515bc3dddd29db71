"""An Airbyte through its API: schedules, jobs, connections."""
