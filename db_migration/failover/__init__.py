"""The unplanned one."""
